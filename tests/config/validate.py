# SPDX-License-Identifier: MIT
# validate.py SCHEMA FILE...: holds each file against a JSON schema, and prints a line for each: "valid FILE",
# "invalid FILE: why" or "not JSON FILE". A schema that is wrong itself ends it.
import json
import sys

import jsonschema


def no_twice(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key twice")
    return dict(pairs)


with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for name in sys.argv[2:]:
    try:
        with open(name, encoding="utf-8") as file:
            document = json.load(file, object_pairs_hook=no_twice)
    except (ValueError, RecursionError):
        print("not JSON", name)
        continue
    fault = jsonschema.exceptions.best_match(validator.iter_errors(document))
    print("valid " + name if fault is None else f"invalid {name}: {fault.message[:200]}")
