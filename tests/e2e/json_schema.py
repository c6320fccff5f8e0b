"""As much of JSON Schema (2020-12) as docs/openapi.json uses; a word that is not known is an error,
so that nothing in the file is passed over."""

import datetime
import re

KINDS = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def is_date_time(text):
    try:
        datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return False
    return True


class Schemas:
    def __init__(self, document):
        self.document = document
        self.words = {
            "$ref": self.check_reference, "type": self.check_type, "enum": self.check_enum,
            "const": self.check_const, "properties": self.check_properties,
            "required": self.check_required, "items": self.check_items,
            "additionalProperties": self.check_others, "anyOf": self.check_any,
            "pattern": self.check_pattern, "format": self.check_format,
            "minimum": self.check_minimum, "description": lambda *_: [],
        }

    def resolve(self, reference):
        place = self.document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        return place

    def errors(self, value, schema, at="$"):
        """What is wrong with it; empty where it is as described."""
        found = []
        for word, argument in schema.items():
            found += self.words[word](value, argument, schema, at)
        return found

    def check_reference(self, value, reference, _, at):
        return self.errors(value, self.resolve(reference), at)

    def check_type(self, value, kinds, _, at):
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if any(KINDS[kind](value) for kind in kinds):
            return []
        return [f"{at}: {value!r} is none of {kinds}"]

    def check_enum(self, value, known, _, at):
        return [] if value in known else [f"{at}: {value!r} is none of {known}"]

    def check_const(self, value, wanted, _, at):
        return [] if value == wanted else [f"{at}: {value!r} is not {wanted!r}"]

    def check_properties(self, value, properties, _, at):
        if not isinstance(value, dict):
            return []
        return [e for key, item in value.items() if key in properties
                for e in self.errors(item, properties[key], f"{at}.{key}")]

    def check_others(self, value, rest, schema, at):
        if not isinstance(value, dict):
            return []
        found = []
        for key in value.keys() - schema.get("properties", {}).keys():
            if rest is False:
                found.append(f"{at}: {key} is not described")
            else:
                found += self.errors(value[key], rest, f"{at}.{key}")
        return found

    def check_required(self, value, required, _, at):
        if not isinstance(value, dict):
            return []
        return [f"{at}: {key} is missing" for key in required if key not in value]

    def check_items(self, value, items, _, at):
        if not isinstance(value, list):
            return []
        return [e for i, item in enumerate(value) for e in self.errors(item, items, f"{at}[{i}]")]

    def check_any(self, value, schemas, _, at):
        tried = [self.errors(value, schema, at) for schema in schemas]
        if not all(tried):
            return []
        return [f"{at}: none fits: " + "; ".join(min(tried, key=len))]

    def check_pattern(self, value, pattern, _, at):
        if not isinstance(value, str) or re.search(pattern, value):
            return []
        return [f"{at}: {value!r} does not match {pattern}"]

    def check_format(self, value, name, _, at):
        if name != "date-time":
            raise KeyError(f"format {name}")
        return [] if not isinstance(value, str) or is_date_time(value) else [
            f"{at}: {value!r} is no date-time"]

    def check_minimum(self, value, least, _, at):
        if KINDS["number"](value) and value < least:
            return [f"{at}: {value} is below {least}"]
        return []
