"""A new capsule with its denial tests: `make feature NAME=tyres`.

Copies `scripts/feature_template/`, which is a small working capsule, with the nouns replaced; then says what is left to do.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "scripts" / "feature_template"
NEXT_STEPS = """
Made {capsule} and {tests}. Left to do, in this order:
  1. Words: say in GLOSSARY.md what a {singular} is.
  2. Table: make migration NAME=add_{plural}; the SQL to start from is in {capsule}/README.md.
  3. Map: place "{plural}" in the feature map in pyproject.toml.
  4. Routes: add its router to SIGNED_IN in src/motovaultpro/app.py.
  5. make fmt test check
"""


def main() -> int:
    plural = sys.argv[1] if len(sys.argv) > 1 else ""
    if not re.fullmatch(r"[a-z][a-z_]{2,30}s", plural):
        print("Name it in the plural, lower case: make feature NAME=tyres", file=sys.stderr)
        return 2
    capsule = ROOT / "src/motovaultpro/features" / plural
    tests = ROOT / "tests/features" / plural
    if capsule.exists() or tests.exists():
        print(f"There is already a capsule {plural}.", file=sys.stderr)
        return 1
    singular = plural.removesuffix("s")
    words = {
        "__plural__": plural,
        "__singular__": singular,
        "__Class__": "".join(part.title() for part in singular.split("_")),
        "__path__": plural.replace("_", "-"),
    }
    for source in sorted(TEMPLATE.rglob("*.txt")):
        relative = source.relative_to(TEMPLATE).with_suffix("")
        target = (tests if relative.parts[0] == "tests" else capsule) / relative.name.replace(
            "__plural__", plural
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_text()
        for placeholder, word in words.items():
            content = content.replace(placeholder, word)
        target.write_text(content)
    # The length of the noun decides where lines break.
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, "format", "--quiet", capsule, tests], check=True)  # noqa: S603 - our own tool
    print(
        NEXT_STEPS.format(
            capsule=capsule.relative_to(ROOT),
            tests=tests.relative_to(ROOT),
            plural=plural,
            singular=singular,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
