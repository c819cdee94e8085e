"""Writes the first inputs of each fuzz target, out of the committed vectors: seeds.py FOLDER."""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBS = HERE.parent.parent
REGISTRY, ESCROW = "0x" + "11" * 20, "0x" + "22" * 20


def vectors(name):
    places = [LIBS / crate / "vectors" / name for crate in ("protocol", "json")]
    return json.loads(next(place for place in places if place.exists()).read_text())


def texts(value):
    """Every text in a vector file."""
    if isinstance(value, str):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for child in children:
        yield from texts(child)


def envelopes():
    wires = [entry["rawBody"] for entry in vectors("envelopes.json")["envelopes"]]
    wires += [entry["wire"] for entry in vectors("signing.json")["vectors"]]
    bodies = [json.dumps(json.loads(wire).get("body", {})) for wire in wires]
    return wires + bodies


def canonical_json():
    inputs = [entry["input"] for entry in vectors("canonical-json.json")["vectors"]]
    return inputs + envelopes() + ['{"a":[1e-7,-0,1e21,5e-324,"\\ud800\\u0007é🦀"],"":null}', '"\\uDE00"', "[[[[1]]]]"]


def payloads():
    found = vectors("payloads.json")
    return [found[part]["plaintext_utf8"] for part in ("request", "response")]


def sealed():
    found = [entry["ciphertext"] for entry in vectors("ecies.json")["vectors"]]
    found += [vectors("payloads.json")[part]["ciphertext"] for part in ("request", "response")]
    return [bytes.fromhex(text.removeprefix("0x")) for text in found]


def chunks():
    def chunk(span, payload):
        data = span.to_bytes(8, "little") + payload
        return len(data).to_bytes(2, "big") + data

    def reference(number):
        return bytes([number]) + bytes(31)

    leaf = chunk(4096, bytes(range(256)) * 16)
    root = chunk(8192, reference(1) * 2)
    deep = chunk(16384, reference(1) * 2) + chunk(8192, reference(2) * 2) + leaf
    owned = bytes(32) + bytes(65) + (5).to_bytes(8, "little") + b"hello"
    return [chunk(5, b"hello"), root + leaf, deep, owned, b"\x00\x48" + b"\x01" * 40]


def sse():
    chunk = '{"id":"x","choices":[{"index":0,"delta":{"content":"é"},"finish_reason":null}]}'
    streams = [
        f"data: {chunk}\n\ndata: [DONE]\n\n",
        ": comment\r\n\r\nevent: x\rdata:a\r\rdata: b\ndata: c\n\n",
        "data: no end",
    ]
    return [b"\x03" + stream.encode() for stream in streams]


def word(value):
    return (value if isinstance(value, int) else int(value, 16)).to_bytes(32, "big")


def abi_text(text):
    data = text.encode()
    return word(len(data)) + data + bytes(-len(data) % 32)


def abi_provider():
    head = [word(REGISTRY), word(7), word(8), word(10 * 32), word(10**18), word(1_800_000_000), word(3), word(2), word(1), word(2)]
    return b"".join(head) + abi_text("bzz://x")


def abi_offers():
    offer = word(5 * 32) + word(3 * 10**15) + word(15 * 10**15) + word(8192) + word(120) + abi_text("llama3:8b")
    return word(1) + word(32) + offer


def contracts():
    job = [word(REGISTRY), word(ESCROW), word(5), word(6), word(11 * 32)]
    job += [word(10**15), word(1_800_000_000), word(0), word(1_800_000_030), word(1_800_000_900), word(1)]
    answers = {
        0: word(32) + abi_provider(),
        1: word(32) + abi_offers(),
        2: word(64) + word(1) + word(1) + word(32) + abi_provider(),
        3: word(32) + abi_provider(),
        4: word(1) + word(10**18),
        5: b"".join(job) + abi_text("llama3:8b"),
        6: word(10**15),
        7: word(10**18),
    }
    reverts = [b"\x08\xc3\x79\xa0" + word(32) + abi_text("too late"), b"\x4e\x48\x7b\x71" + word(0x11)]
    return [bytes([kind]) + answer for kind, answer in answers.items()] + [b"\x00" + data for data in reverts]


def rpc():
    hash32, number = "0x" + "ab" * 32, "0x10"
    topics = re.findall(r'"([0-9a-f]{64})"', (LIBS / "chain/src/events/topics.rs").read_text())

    def log(topic, address):
        return {
            "address": address, "topics": ["0x" + topic] + ["0x" + "00" * 12 + "44" * 20] * 3,
            "data": "0x" + (word(32) * 8).hex(), "blockNumber": number, "blockHash": hash32,
            "transactionHash": hash32, "logIndex": "0x0", "removed": False,
        }

    logs = [log(topic, address) for topic in topics for address in (REGISTRY, ESCROW)]
    block = {"number": number, "hash": hash32, "parentHash": hash32, "timestamp": number, "baseFeePerGas": "0x7"}
    receipt = {
        "transactionHash": hash32, "status": "0x1", "blockNumber": number, "blockHash": hash32, "gasUsed": "0x5208",
        "effectiveGasPrice": "0x7", "logs": logs[:1], "contractAddress": None,
    }
    results = {0: block, 1: receipt, 2: logs, 3: hash32, 4: "0x5208", 5: "0xde0b6b3a7640000", 8: "0x64"}
    whole = [(kind, {"jsonrpc": "2.0", "id": "@0", "result": result}) for kind, result in results.items()]
    errors = [(-32000, "nonce too low"), (3, "execution reverted"), (-32005, "query returned more than 10000 results")]
    data = "0x08c379a0" + (word(32) + abi_text("too late")).hex()
    for kind in (2, 3, 4):
        whole += [
            (kind, {"jsonrpc": "2.0", "id": "@0", "error": {"code": code, "message": message, "data": data}})
            for code, message in errors
        ]
    for kind, result in ((6, "0x" + word(1).hex()), (7, receipt)):
        whole.append((kind, [{"jsonrpc": "2.0", "id": f"@{place}", "result": result} for place in (1, 0)]))
    return [bytes([kind]) + json.dumps(body).encode() for kind, body in whole]


def settings():
    keys = (LIBS / "runtime/src/config/keys.rs").read_text()
    # What is set in a file must not lead to another file.
    names = [name for name in re.findall(r"^    ([A-Z0-9_]+): ", keys, re.M) if name != "T4T_CONFIG"]
    defaults = dict(re.findall(r'^    ([A-Z0-9_]+): .*?Some\("([^"]*)"\)', keys, re.M))
    values = {name: defaults.get(name, "1") for name in names}
    file = "".join(f'{name.lower()} = "{value}"\n' for name, value in values.items())
    variables = "".join(f"{name}={value}\n" for name, value in values.items())
    some = ['log_level = "debug"\n[x]\ny = [1, 2.5, true]\n', "t4t_allowed_models = ['a', 'b']\nbee_api_url = 1\n"]
    return [b"\x00" + text.encode() for text in [file, *some]] + [b"\x01" + variables.encode()]


def endpoints():
    models = {"llama3:8b": {"inputBzz": "0.3", "outputBzz": "1.5"}}
    whole = {"name": "a", "url": "http://127.0.0.1:11434/v1", "apiKey": "sk-0123456789abcdef", "models": models}
    return [json.dumps(value) for value in ([whole], [{"name": "b", "url": "http://x"}] * 2, [], {})]


def chat():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    requests = [entry["request"] for entry in vectors("escrow-sizing.json")["vectors"]]
    requests.append({
        "model": "llama3:8b", "stream": True, "stream_options": {"include_usage": True}, "tools": [tool], "n": 2,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "max_tokens": 5,
        "response_format": {"type": "json_object"},
    })
    requests.append({"model": "llama3:8b", "prompt": ["hi"], "max_tokens": 5, "echo": False, "stream": True})
    opened = [json.loads(text) for text in payloads()]
    return [json.dumps(value) for value in requests + [opened[0]["openaiRequest"], opened[1]["openaiResponse"]]]


def short_texts():
    files = ("amounts.json", "routing-id.json", "topics.json", "signing.json")
    found = {text for name in files for text in texts(vectors(name)) if len(text) <= 140}
    return sorted(found | {"0.0000000000000001", "340282366920938463463374607431768211455", "llama3:8b", "02" + "ab" * 32})


TARGETS = {
    "envelope": envelopes, "canonical_json": canonical_json, "payloads": payloads, "sealed": sealed, "chunks": chunks,
    "sse": sse, "rpc": rpc, "contracts": contracts, "settings": settings, "endpoints": endpoints, "chat": chat,
    "texts": short_texts,
}

for target, seeds in TARGETS.items():
    folder = Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds()):
        (folder / f"seed-{place}").write_bytes(seed if isinstance(seed, bytes) else seed.encode())
