"""Reads Prometheus' text format 0.0.4, and takes nothing that the format, or the conventions for
names, do not allow."""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
VALUE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
KINDS = ("counter", "gauge", "histogram")


class Wrong(ValueError):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


class Family:
    def __init__(self, name, text):
        self.name, self.help, self.kind = name, text, None
        self.samples = {}  # (suffix, ((label, value), ...)) -> number

    def value(self, **labels):
        return self.samples["", tuple(sorted(labels.items()))]

    def total(self):
        return sum(value for (suffix, _), value in self.samples.items() if suffix == "")


def labels_of(text):
    """`a="b",c="d"` as sorted pairs."""
    found, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        need(match, f"labels: {text}")
        value = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[2])
        found.append((match[1], value))
        at = match.end()
        need(at == len(text) or text[at] == ",", f"labels: {text}")
        at += 1
        need(at != len(text), f"labels: {text}")
    need(len({name for name, _ in found}) == len(found), f"a label comes twice: {text}")
    return tuple(sorted(found))


def read_sample(line, family):
    match = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? (\S+)", line)
    need(match, f"no sample: {line}")
    name, labels, number = match.groups()
    need(NAME.fullmatch(name), f"no name: {name}")
    need(labels != "", f"empty braces: {line}")
    need(family and family.kind, f"a sample before its family's HELP and TYPE: {line}")
    need(name.startswith(family.name), f"a sample of another family: {line}")
    suffix = name[len(family.name):]
    need(suffix in SUFFIXES.get(family.kind, ("",)), f"a sample of another family: {line}")
    need(VALUE.fullmatch(number), f"no number: {line}")
    key = suffix, labels_of(labels or "")
    need(key not in family.samples, f"a sample comes twice: {line}")
    family.samples[key] = float(number)


def check_histogram(family):
    buckets = [(dict(labels)["le"], value) for (suffix, labels), value in family.samples.items()
               if suffix == "_bucket"]
    bounds = [float(bound) for bound, _ in buckets]
    counts = [count for _, count in buckets]
    need(bounds == sorted(set(bounds)) and bounds[-1:] == [math.inf], f"{family.name}: bounds")
    need(counts == sorted(counts), f"{family.name}: buckets are cumulative")
    need(family.samples.get(("_count", ())) == counts[-1], f"{family.name}: +Inf is the count")
    need(("_sum", ()) in family.samples, f"{family.name}: no sum")


def check(family):
    name = family.name
    need(family.kind, f"{name} has no TYPE")
    need(family.help, f"{name} has no HELP")
    need(family.samples, f"{name} has no samples")
    need(name.startswith(("dunlin_", "process_")), f"{name} has a name of nobody")
    need((family.kind == "counter") == name.endswith("_total"), f"{name} is a {family.kind}")
    need(not re.search(r"_(ms|us|kb|mb|kib|mib|milliseconds|percent)(_|$)", name),
         f"{name}: base units only")
    for value in family.samples.values():
        need(not math.isnan(value), f"{name} is no number")
        need(family.kind == "gauge" or value >= 0, f"{name} is below 0")
    if family.kind == "histogram":
        need(name.endswith("_seconds"), f"{name}: in which unit?")
        check_histogram(family)


def parse(text):
    """name -> Family."""
    need(text.endswith("\n") and "\r" not in text, "lines end with a line feed")
    families, family = {}, None
    for line in text[:-1].split("\n"):
        comment = re.fullmatch(r"# (HELP|TYPE) (\S+) (.*)", line)
        if not comment:
            need(line and not line.startswith("#"), f"no line of this format: {line!r}")
            read_sample(line, family)
            continue
        what, name, rest = comment.groups()
        need(NAME.fullmatch(name), f"no name: {name}")
        if what == "HELP":
            need(name not in families, f"{name} comes twice")
            need(re.fullmatch(r"(?:[^\\]|\\[\\n])*", rest), f"{name}: a stray backslash")
            family = families[name] = Family(name, rest)
        else:
            need(family and family.name == name and not family.kind and not family.samples,
                 f"TYPE of {name} is out of place")
            need(rest in KINDS, f"{name} is of no kind: {rest}")
            family.kind = rest
    for family in families.values():
        check(family)
    return families
