"""Makes a llama model of about half a megabyte whose weights are random, the same on every machine.

usage: mkgguf.py FILE
"""

import sys

import gguf
import numpy

NAME = "tiny-random"
SEED = 20_231
WIDTH = 64
BLOCKS = 2
HEADS = 4
FEED_FORWARD = 128
CONTEXT = 2048

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def vocabulary():
    """Every byte, every visible character, and a few words: any text can be read and written."""
    kind = gguf.TokenType
    tokens = [("<unk>", kind.UNKNOWN, 0.0), ("<s>", kind.CONTROL, 0.0), ("</s>", kind.CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE, 0.0) for byte in range(256)]
    words = ["▁"] + ["▁" + word for word in "one two three red green blue sun moon star go stay now".split()]
    characters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens += [(text, kind.NORMAL, -float(rank)) for rank, text in enumerate(words + characters)]
    return tokens


def write_settings(writer, tokens):
    writer.add_name(NAME)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _, _ in tokens])
    writer.add_token_types([kind for _, kind, _ in tokens])
    writer.add_token_scores([score for _, _, score in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_weights(writer, tokens):
    random = numpy.random.default_rng(SEED)

    def noise(*shape, scale=0.05):
        return (random.standard_normal(shape) * scale).astype(numpy.float32)

    def ones():
        return numpy.ones(WIDTH, numpy.float32)

    writer.add_tensor("token_embd.weight", noise(len(tokens), WIDTH))
    writer.add_tensor("output_norm.weight", ones())
    writer.add_tensor("output.weight", noise(len(tokens), WIDTH, scale=0.5))
    for block in range(BLOCKS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{norm}.weight", ones())
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{block}.{part}.weight", noise(WIDTH, WIDTH))
        writer.add_tensor(f"blk.{block}.ffn_gate.weight", noise(FEED_FORWARD, WIDTH))
        writer.add_tensor(f"blk.{block}.ffn_up.weight", noise(FEED_FORWARD, WIDTH))
        writer.add_tensor(f"blk.{block}.ffn_down.weight", noise(WIDTH, FEED_FORWARD))


def main():
    tokens = vocabulary()
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    write_settings(writer, tokens)
    write_weights(writer, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
