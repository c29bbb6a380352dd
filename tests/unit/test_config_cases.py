"""Every file in `tests/config_cases` is refused with exactly the problems in its `# expect:` lines, and no secret.

A line reads `# expect: LINE: key: message; hint`, without LINE where the file as a whole is meant.
"""

from pathlib import Path

import pytest

from config.load import load
from config.problems import ConfigError

CASES = sorted(Path(__file__).parent.parent.joinpath("config_cases").glob("*.yaml"))
ENVIRONMENT = {"SECRET_TEXT": "hunter2\n"}
MARK = "# expect: "


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_file_is_refused_with_the_expected_words(case: Path) -> None:
    lines = case.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]

    with pytest.raises(ConfigError) as caught:
        load(case, ENVIRONMENT)

    problems = caught.value.problems
    found = [f"{problem.line}: {problem}" if problem.line else str(problem) for problem in problems]
    assert found == expected
    assert "hunter2" not in str(caught.value) + repr(caught.value)


def test_there_are_cases() -> None:
    assert CASES
