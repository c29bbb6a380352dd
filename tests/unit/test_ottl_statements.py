"""Statements are read, and what cannot be meant is refused, with the place and what would be right."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from config.ottl import Context, OttlError
from config.ottl_editors import EDITORS
from config.ottl_nodes import Constant, Level
from config.ottl_statements import read_flat_statement, read_statement
from tests.unit.test_ottl_read import WORDS

FORMS = [
    'set(resource.attributes["deployment.environment.name"], "staging")',
    'set(span.attributes["net.peer"], span.attributes["server.address"])',
    'set(resource.attributes["service.name"], "unknown") where resource.attributes["service.name"] == nil',
    'delete_key(span.attributes, "server.address")',
    'delete_matching_keys(span.attributes, "(?i)^http\\\\.request\\\\.header\\\\.(cookie|authorization)$")',
    'keep_keys(resource.attributes, ["service.name", "host.name"])',
    'replace_pattern(span.attributes["url.full"], "token=[^&]+", "token=***")',
    'replace_all_patterns(span.attributes, "value", "[0-9]{16}", "<card>")',
    'replace_pattern(span.name, "/[0-9]+", "/{id}")',
    'set(span.name, Concat([span.attributes["a"], span.attributes["b"]], " ")) where span.kind == SPAN_KIND_SERVER',
    'set(span.status.code, STATUS_CODE_UNSET) where span.attributes["http.response.status_code"] == 404',
    "truncate_all(span.attributes, 4096)",
    'limit(span.attributes, 64, ["http.route"])',
    'merge_maps(span.attributes, ParseJSON(span.attributes["payload"]), strategy = "upsert")',
    'set(span.attributes["ms"], Milliseconds(span.end_time - span.start_time))',
    "flatten(span.attributes)",
    'replace_pattern(span.name, "kube_([a-z]+)", "k8s.$1", function = SHA256, replacementFormat = "<%s>")',
]

BROKEN = [
    ("", 1, "expected a name, found the end; a statement begins with what it does"),
    ("span.name", 5, "expected (, found .; a statement begins with what it does"),
    ('span.name == "x"', 5, 'as in set(span.attributes["key"], "value")'),
    ('Set(span.name, "x")', 1, "a statement begins with what it does"),
    ('sett(span.name, "x")', 1, "did you mean set?"),
    ('set(span.name, "x") when span.kind == 1', 21, 'expected "where" or the end, found when'),
    ('set(span.name, "x") where', 26, "expected a value, found the end"),
    ('set(span.name, "x") where span.name', 27, "is a value, not a condition"),
    ("set(span.name, 'x')", 16, "in YAML the whole statement in single ones"),
    ('set(span.name "x")', 15, 'found "x"'),
    ("set(span.name)", 1, "needs value: it takes target, value"),
    ('set(span.nme, "x")', 5, "did you mean span.name?"),
    ('set("x", 1)', 5, "changes a field of spans"),
    ("set(span.name, 1)", 16, "name takes string, found int; make a text of it with String"),
    ("set(span.kind, 9)", 16, "kind is from 0 to 5"),
    ('set(span.status.code, "ERROR")', 23, "write STATUS_CODE_ERROR and the like"),
    ('set(span.attributes["d"], span.end_time - span.start_time)', 27, "as with Milliseconds"),
    ('set(span.attributes["d"], span.end_time)', 27, "with UnixNano"),
    ('set(span.attributes["a"], resource.attributes)', 27, "use merge_maps"),
    ("set(span.events, [])", 5, "events cannot be changed"),
    ("set(spanevent.event_index, 1)", 5, "event_index cannot be changed"),
    ("set(span.cache, {})", 5, 'name a key, as in cache["key"]'),
    ('set(resource.cache["a"], span.name)', 5, "the cache here is that of spans"),
    ('set(span.attributes["a"], SHA256)', 27, "call it, as in SHA256(...)"),
    ('delete_key(span.name, "x")', 12, "delete_key takes map as target, found string"),
    ("delete_key(span.attributes, span.name)", 29, "key must be written out"),
    ("limit(span.attributes, -1)", 24, "must not be negative"),
    ('limit(span.attributes, 1, ["a", "b"])', 27, "has 2 keys, more than the limit of 1"),
    ('keep_keys(span.attributes, ["a", 1])', 28, "keys are texts"),
    ('flatten(span.attributes, "", -1)', 30, "must not be negative"),
    ('append(span.attributes["a"])', 1, "needs value or values"),
    ('merge_maps(span.attributes, resource.attributes, "replace")', 50, "must be one of insert, update, upsert"),
    ('merge_maps(resource.attributes, span.attributes, "upsert")', 33, "there are several for each resource"),
    ('merge_maps(span.attributes["a"], resource.attributes, "upsert")', 34, "only be merged into all attributes"),
    ('replace_pattern(span.name, "(", "x")', 28, "must be a regular expression"),
    ('replace_pattern(span.name, "a", "x", Len)', 38, "does not make one text of another"),
    ('replace_pattern(span.name, "a", "x", "SHA256")', 38, "name a function, as in SHA256"),
    ('replace_all_patterns(span.attributes, "val", "a", "x")', 39, "must be one of key, value"),
    ('append(span.attributes["a"], spanevent.name)', 8, "put it into a group with context: span"),
    ('stringify_all(span.attributes["a"])', 15, "takes all attributes together"),
    ('set_semconv_span_name("1.36.0")', 23, "from 1.37.0 to 1.43.0"),
    ('set_semconv_span_name("1.44.0")', 23, "from 1.37.0 to 1.43.0"),
    ('set_semconv_span_name("1.37.0", "")', 33, "must not be empty"),
    ("set_semconv_span_name(span.name)", 23, "must be written out"),
    ('set_semconv_span_name("1.37.0") where spanevent.name == "a"', 1, "put it into a group with context: span"),
    ("set(span.start_time, Now())", 22, "read again from the journal"),
    ('set(span.name, Format("%s", [span.name]))', 16, "put the text together with Concat and String"),
    ('set(span.name, "x")\n  where span.nme == 1', 9, "line 2, column 9: span.nme is not a known field"),
]


@pytest.mark.parametrize("text", FORMS)
def test_the_usual_forms_are_read(text: str) -> None:
    assert str(read_flat_statement(text)) == text


@pytest.mark.parametrize(("text", "column", "message"), BROKEN)
def test_broken_statements_are_refused_with_place_and_remedy(text: str, column: int, message: str) -> None:
    with pytest.raises(OttlError) as caught:
        read_flat_statement(text)
    assert message in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('set(resource.attributes["a"], 1)', Level.RESOURCE),
        ('set(scope.name, "x") where resource.attributes["a"] == nil', Level.SCOPE),
        ('set(resource.attributes["a"], 1) where IsRootSpan()', Level.SPAN),
        ('set(span.attributes["a"], IsRootSpan())', Level.SPAN),
        ('set(span.attributes["a"], String((IsRootSpan())))', Level.SPAN),
        ('set(resource.attributes["a"], span.name)', Level.SPAN),
        ('set(span.name, "x") where spanevent.name == "y"', Level.EVENT),
    ],
)
def test_statements_alone_tell_by_their_paths_what_they_are_about(text: str, level: Level) -> None:
    assert read_flat_statement(text).level is level


def test_paths_without_prefix_are_about_what_the_group_is_about() -> None:
    for context, level in (("resource", 1), ("scope", 2), ("span", 3), ("spanevent", 4)):
        statement = read_statement('set(attributes["a"], 1)', context)  # type: ignore[arg-type]  # one of them
        assert (statement.level, statement.target.level) == (level, level)
    with pytest.raises(OttlError, match="what is said of resources cannot look at spans; put it under span"):
        read_statement('set(attributes["a"], span.name)', "resource")
    with pytest.raises(OttlError, match=r"must say what it is about, as in span\.name"):
        read_flat_statement('set(name, "x")')


def test_arguments_may_be_named() -> None:
    statement = read_statement('replace_pattern(replacement = "b", target = name, regex = "a")', "span")
    assert statement.target.name == "name"
    assert [each.value if isinstance(each, Constant) else each for each in statement.arguments] == ["a", "b", None, None]


def test_the_page_names_every_editor() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "processors.md").read_text(encoding="utf-8")
    assert [name for name in EDITORS if f"`{name}" not in page] == []


WORDS_OF_STATEMENTS = st.one_of(
    WORDS, st.sampled_from(["set", "where", "merge_maps", "keep_keys", "cache", "resource", "limit", "SHA256", '"insert"', "{}"])
)


@pytest.mark.parametrize("context", ["resource", "span", "spanevent"])
@settings(deadline=None, phases=set(Phase) - {Phase.explain})
@given(text=st.one_of(st.text(string.printable + "é\ud800"), st.lists(WORDS_OF_STATEMENTS, max_size=30).map(" ".join)))
def test_whatever_is_written_is_read_or_refused_with_a_place_in_it(context: Context, text: str) -> None:
    found = None
    try:
        read_statement(text, context)
    except OttlError as error:
        found = error
    assert found is None or 1 <= found.line <= text.count("\n") + 1
    assert found is None or 1 <= found.column <= len(text) + 1
