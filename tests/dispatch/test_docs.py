"""What docs/without-aws.md says agrees with the program."""

import re
import shlex
from pathlib import Path

from thumbsmith.cli.work import work
from thumbsmith.dispatch.deliveries import HIDDEN_SECONDS, MAX_DELIVERIES
from thumbsmith.environment import Setting

PAGE = (Path(__file__).parents[2] / "docs" / "without-aws.md").read_text()


def test_the_commands_have_their_options():
    """The program accepts every `thumbsmith work` of the page."""
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [shlex.split(line)[2:] for line in block.splitlines()]
    assert len(commands) == 3
    assert all(work.make_context("work", command).params["addresses"] for command in commands)


def test_the_numbers_and_variables_are_current():
    """The page names variables that exist, and the numbers of the code."""
    assert set(re.findall(r"THUMBSMITH_\w+", PAGE)) <= {each.value for each in Setting}
    assert f"The default in JetStream is {HIDDEN_SECONDS} seconds" in PAGE
    assert MAX_DELIVERIES == 5
    assert "After five, the worker moves the message" in PAGE
