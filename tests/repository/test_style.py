"""Rules of style: docstrings open with a verb or a noun, and all prose uses the standard terms of the field."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from tests.repository.tree import texts

OPENERS = re.compile(r"(What|Whether|Where|Who|Whose|Which|How)\b")
#: Names of tests that open like that, and British spelling in any name.
NAMES = re.compile(
    r"\btest_(?:what|whatever|whether|where|who|whose|which|how)_\w+|(?:colour|grey|behaviour|neighbour)\w*"
)

#: A phrase (a regular expression, matched as a whole) and the term to use instead.
PHRASES = {
    # Vocabulary
    r"pictures?": "image",
    r"develop(s|ed|ing|ment)?": "process",
    r"embedded": "self-hosted",
    r"doors?": "entry point",
    r"rooms?|houses?": "package, space",
    r"taken": "accepted, used, held",
    r"(un)?settled|comes? to rest": "pending, finished",
    r"words": "description, text",
    r"(is|are) there twice": "duplicate",
    r"thousand million": "billion",
    r"who may": "access, API keys",
    r"time is over": "expired",
    r"no picture|what is taken|pictures in": "unsupported image format, limits, upload images",
    r"does not keep to": "malformed",
    r"nothing has come": "no data received",
    # Riddles
    r"whoever|whatever": "anyone who, any",
    r"be it|therein|thereof|so many": "(rewrite)",
    r"besides?": "next to, in addition to",
    r"told": "given, passed, reported",
    r"reckon(s|ed|ing)?": "estimate, calculate",
    r"(does|do|done|did) away with": "delete",
    r"believed in nothing|tells (all|nothing)|in whose midst|deaf to|nobody (foresaw|has looked|here)": "(rewrite)",
    r"(Taken|Accepted|Valid|Refused|Stored|Allowed|Told) (is|are)(?= [^a])": "(subject first)",
    # American spelling
    r"colours?|coloured": "color",
    r"gre(?:y|ys)|greyscale": "gray",
    r"licen(?:ce|ces)": "license",
    r"cent(?:re|red|res)|behaviours?|favours?|neighbours?|(un)?recogni(?:se|sed|ses)": "American spelling",
    r"labelled|cancelled|catalogues?|analys(?:e|ed|es)|normalis\w+|optimis\w+|serialis\w+": "American spelling",
}
_PHRASES = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b", re.IGNORECASE)

#: Uses of these phrases that are right, each for a reason.
ALLOWED = {
    r"multi-picture (format|object)": "the name of the standard that MPO stands for",
    r"embedded (metric format|(color )?profiles?|metadata|images?)": "contained in a file or a line of a log",
    r"for development": "the activity of programmers",
    r"(was|were) taken|taken (with|at)": "a photograph is taken",
    r"encoded words?": "the term of RFC 2047",
}
_ALLOWED = re.compile("|".join(ALLOWED), re.IGNORECASE)

SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|CREATE|DELETE|ALTER|SET|REMOVE|attribute_)\b")

#: Other files that users read.
TEXTS = {"template.yaml", "compose.yaml", "samconfig.toml", "Dockerfile", "examples/requests.http"}

PYTHON = {name: text for name, text in texts().items() if name.endswith(".py")}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Strings(NamedTuple):
    """String constants of a module."""

    docstrings: list[tuple[int, str]]  # with their lines
    sentences: list[str]  # details, help, log messages, descriptions


@cache
def read_strings(text: str) -> Strings:
    docstrings, constants, described = [], [], set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr):
            described.add(id(node.body[0].value))
            if found := ast.get_docstring(node):
                docstrings.append((getattr(node, "lineno", 1), found))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            constants.append(node.value)
    return Strings(docstrings, [value for value in constants if " " in value and not SQL.match(value)])


def comments(text: str) -> list[str]:
    return re.findall(r"^ *#.*|  #.*", text, re.MULTILINE)


def prose(markdown: str) -> str:
    """Return a page without its fenced code, code spans, addresses and HTML tags."""
    without_code = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)|https?://\S+|<[^>\n]+>", " ` ", without_code)


def written() -> dict[str, str]:
    """Return the prose of each file: documentation, texts that users see, docstrings and comments."""
    found = {}
    for name, text in texts().items():
        if name.endswith(".md") and not name.startswith("tests/"):
            found[name] = prose(text)
        elif name.endswith(".py"):
            parts = [*comments(text), *(found for _, found in read_strings(text).docstrings)]
            if not name.startswith("tests/"):  # whose strings are data
                parts += read_strings(text).sentences
            found[name] = prose("\n\n".join(parts))
        elif name in TEXTS or name.startswith(".github/"):
            found[name] = prose(text)
        elif name == "Makefile":
            found[name] = prose("\n".join(re.findall(r"## (.*)", text)))
    return found


def misused(text: str) -> list[str]:
    allowed = [match.span() for match in _ALLOWED.finditer(text)]
    return [
        text[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ")
        for match in _PHRASES.finditer(text)
        if not any(start <= match.start() and match.end() <= end for start, end in allowed)
    ]


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    riddles = [
        f"{name}:{line}: {found[:60]}"
        for name in sorted(PYTHON)
        for line, found in read_strings(PYTHON[name]).docstrings
        if OPENERS.match(found)
    ]
    assert riddles == []


def test_prose_uses_standard_terms() -> None:
    found = {name: misused(text) for name, text in written().items()}
    assert {name: uses for name, uses in found.items() if uses} == {}, "see PHRASES above for the terms to use"


def test_names_are_american_and_state_facts() -> None:
    found = {name: NAMES.findall(text) for name, text in PYTHON.items() if not name.endswith("/test_style.py")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def test_the_openapi_document_uses_standard_terms(openapi: Any) -> None:
    assert misused(prose("\n\n".join(strings(openapi)))) == [], "see PHRASES above for the terms to use"


def test_the_rules_see_what_they_forbid() -> None:
    assert OPENERS.match("What is stored.")
    assert not OPENERS.match("Whatever is stored.")
    assert NAMES.findall("test_what_is_stored, test_whatsoever, a_grey") == ["test_what_is_stored", "grey"]
    assert misused("Any picture that is sent") == ["Any picture that is sent"]
    assert misused("MPO (Multi-Picture Format), taken_at, the photo was taken") == []
    assert comments("x = 1  # a\n    # b\n") == ["  # a", "    # b"]
    assert read_strings('"""Doc string."""\nx = f"a {y} picture of it"').sentences == ["a ", " picture of it"]
    assert prose("a `picture` and\n```\npicture\n```\n<picture> [b](picture.md)").count("picture") == 0
