"""Reads a Dockerfile as its stages of instructions."""

import json
import re
import shlex


class Instruction:
    def __init__(self, line):
        self.name, _, rest = line.partition(" ")
        self.options = {}
        words = rest.strip()
        while match := re.match(r"--([\w-]+)=(\S+)\s+", words):
            self.options[match[1]] = match[2]
            words = words[match.end():]
        self.text = words
        # The exec form is JSON, anything else words.
        self.words = json.loads(words) if words.startswith("[") else shlex.split(words)

    def __repr__(self):
        return f"{self.name} {self.text}"


def read_stages(path):
    """A list of (base image, name or None, instructions)."""
    lines = [l for l in path.read_text().splitlines() if l.strip() and not l.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    stages = []
    for instruction in map(Instruction, joined):
        if instruction.name == "FROM":
            words = instruction.words
            stages.append((words[0], words[2] if len(words) == 3 else None, []))
        else:
            stages[-1][2].append(instruction)
    return stages
