"""Serves a model with llama.cpp's OpenAI-compatible server until it is killed or its starter is gone.

usage: serve.py MODEL PORT [API_KEY]
"""

import os
import sys
import time

import xllamacpp

settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.model_alias = {"tiny-random"}
settings.hostnames = ["127.0.0.1"]
settings.port = int(sys.argv[2])
if len(sys.argv) > 3:
    settings.api_keys = [sys.argv[3]]
settings.n_parallel = 4
settings.kv_unified = True
settings.n_ctx = 2048
settings.fit_params = False
settings.ui = False
settings.verbosity = 1

starter = os.getppid()
server = xllamacpp.Server(settings)
while os.getppid() == starter:
    time.sleep(1)
