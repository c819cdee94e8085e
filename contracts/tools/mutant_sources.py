"""The mutants of the contracts: those of slither-mutate, and those that it does not make."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

CONTRACTS = ("JobEscrow", "ProviderRegistry", "PaymentChannels", "ChannelMessages")
# A source that is no contract by itself is compiled as a part of this one.
PART_OF = {"ChannelMessages": "PaymentChannels"}


@dataclass
class Mutant:
    """A source with one change. `kinds` are the mutators that made it."""

    contract: str
    text: str
    line: int
    old: str
    new: str
    id: str
    kinds: set = field(default_factory=set)

    def change(self):
        """The change in one line."""
        return f"{short(self.old)} => {short(self.new) or '(nothing)'}"


def short(text, most=100):
    """Text without line breaks, cut."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def source(contract):
    """The path of a contract's source, from the contracts' folder."""
    return Path("src") / f"{contract}.sol"


def whole(contract):
    """The contract that a source is compiled to."""
    return PART_OF.get(contract, contract)


def make(contract, original, changed):
    """A mutant of two texts. Its id is made of the changed lines and of how many equal ones stand
    before them, so that it stays while other lines move."""
    before, after = original.split("\n"), changed.split("\n")
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    most = min(len(before), len(after)) - head
    while tail < most and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old = "\n".join(before[head : len(before) - tail])
    new = "\n".join(after[head : len(after) - tail])
    earlier = "\n".join(before[:head]).count(old)
    digest = hashlib.sha256("\0".join((contract, old, new, str(earlier))).encode()).hexdigest()
    return Mutant(contract, changed, head + 1, old, new, digest[:10])


def collect(changes):
    """Mutants by id from `(contract, kind, original, changed)`; equal texts become one."""
    mutants = {}
    for contract, kind, original, changed in changes:
        if changed != original:
            mutant = make(contract, original, changed)
            mutants.setdefault(mutant.id, mutant).kinds.add(kind)
    return mutants


def of_slither(contracts):
    """Every change that the mutators of slither-mutate make. They are called here instead of by its
    own loop, which compiles everything anew for each and leaves lines out once one survived."""
    # pylint: disable=import-outside-toplevel
    from slither import Slither
    from slither.tools.mutator.__main__ import _get_mutators

    for name in contracts:
        path = source(name).resolve()
        original = path.read_bytes()
        for unit in Slither(str(path)).compilation_units:
            for contract in unit.contracts:
                if contract.name != name:
                    continue
                for kind in _get_mutators(None):
                    mutator = kind(unit, 0, "", None, contract, None, False, Path("."), [])
                    found = mutator._mutate().get("patches", {}).get(str(path), [])
                    for patch in found:
                        yield name, kind.NAME, original.decode(), applied(original, patch)


def applied(original, patch):
    """The source with a patch of slither, whose positions count bytes."""
    new = patch["new_string"].encode()
    return (original[: patch["start"]] + new + original[patch["end"] :]).decode()


# slither-mutate puts a whole statement where the compared expression of a `require` stood, and a
# whole function where its header stood, so that neither compiles; and it leaves modifiers,
# constants and literals alone. These make up for it.
TOKENS = {
    "compare": (r"(?<![<>=!])(<=|>=|==|!=|<|>)(?![=>])", None),
    "logic": (r"&&|\|\|", {"&&": "||", "||": "&&"}),
    "modifier": (r"\b(?:nonReentrant|onlyEscrow)\b(?!\()", ""),
    "literal": (r"(?<![\w.])\d+(?:e\d+)?(?![\w.])", None),
    "check": (r"(?m)^ +(?:require|_require\w+|_authorise)\([^\n]*\);$", ""),
}
# What each rule of the channels would be without it, where no change of a token is that.
RULES = {
    "PaymentChannels": (
        # An id can be opened again.
        ("channels[id] = Channel({reserved: total, paid: total, closingAt: CLOSED});", "delete channels[id];"),
        # Who calls is paid.
        ("_send(row.key.provider, paid);", "_send(msg.sender, paid);"),
        ("_send(provider, paid);", "_send(msg.sender, paid);"),
        ("_send(key.provider, paid);", "_send(msg.sender, paid);"),
        # The fee stays with the payer.
        ("accounts[msg.sender].free += fee", "accounts[payer].free += fee"),
        # A consent is for any amount, or for none.
        ("_closeHash(id, last.cumulative, deadline)", "_closeHash(id, 0, deadline)"),
        # The event has the difference.
        ("emit Claimed(id, row.key.provider, total,", "emit Claimed(id, row.key.provider, total - before,"),
        # To ask again starts the delay anew.
        ("if (channel.closingAt != 0) return;", ""),
        # A long delay looks closed.
        ("if (closingAt >= CLOSED) closingAt = CLOSED - 1;", ""),
        # A deposit pulls without a look.
        ("_cover(d.payer, d.amount, p);", ""),
        # A permit that fails is an error.
        (
            "try token.permit(payer, address(this), p.value, p.deadline, p.v, p.r, p.s) {} catch {}",
            "token.permit(payer, address(this), p.value, p.deadline, p.v, p.r, p.s);",
        ),
        # A channel that is closed already is an error.
        ("if (channel.closingAt == CLOSED) return;", ""),
        # A used nonce is an error.
        ("if (d.nonce < nonce) return false;", ""),
        # A total that is there is an error.
        ("if (reserved >= reservedTotal) return;", ""),
        # The rest is nobody's.
        ("if (released != 0) accounts[key.payer].free += released;", ""),
    ),
    "ChannelMessages": (
        # A fork gives each channel a new id.
        ("(_deploymentDomain, channelHash)", "(_domainOn(block.chainid), channelHash)"),
        # One branch of a fork takes the signatures of the other.
        (
            "block.chainid == _deploymentChain ? _deploymentDomain : _domainOn(block.chainid)",
            "_deploymentDomain",
        ),
        # A contract is a signer.
        (
            "return _isByKey(key, _digest(messageHash), signature);",
            "return SignatureChecker.isValidSignatureNowCalldata(key, _digest(messageHash), signature);",
        ),
        # A key whose address has code is none.
        (
            "_isByKey(payer, digest, signature)",
            "(payer.code.length == 0 && _isByKey(payer, digest, signature))",
        ),
    ),
}
# One off at the bound, and turned round.
COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}


def replacements(kind, token):
    """What stands instead of a token."""
    if kind == "compare":
        return COMPARISONS[token]
    if kind == "logic":
        return [TOKENS[kind][1][token]]
    if kind == "literal":
        return [f"({token} + 1)"] if token == "0" else [f"({token} + 1)", f"({token} - 1)"]
    return [""]


def of_ours(contracts):
    """Every comparison one off and turned round, every `&&` by `||` and back, every lock, guard and check
    of one line left out, every literal one more and one less, and each rule of `RULES`. Needs no slither."""
    for name in contracts:
        original = source(name).read_text(encoding="utf8")
        code = re.sub(
            r"//[^\n]*|^(?:pragma|import)[^\n]*|^    modifier [^\n]*|mapping\([^\n]*",
            lambda match: " " * len(match.group()),
            original,
            flags=re.MULTILINE,
        )
        for kind, (pattern, _) in TOKENS.items():
            for match in re.finditer(pattern, code):
                for new in replacements(kind, match.group()):
                    changed = original[: match.start()] + new + original[match.end() :]
                    yield name, kind, original, changed
        for old, new in RULES.get(name, ()):
            if original.count(old) != 1:
                raise RuntimeError(f"{name} does not have this once: {old}")
            yield name, "rule", original, original.replace(old, new)
