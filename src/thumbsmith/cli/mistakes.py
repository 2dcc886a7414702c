"""Messages for mistakes in a command line. Each says what is wrong and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
from click.exceptions import NoArgsIsHelpError

from thumbsmith.cli.wording import suggestion


def unknown_command(arguments: Sequence[str], commands: Collection[str], other_names: Mapping[str, str]) -> str:
    """Return the message for a first argument that is no command: a file, a folder, another name, or a typing error."""
    name = arguments[0]
    paths = [each for each in arguments if not each.startswith("-")]
    if name == "help" and len(arguments) > 1 and arguments[1] in commands:
        return f'"help" is not a command: use "thumbsmith {arguments[1]} --help"'
    if name in other_names:
        return f'"{name}" is not a command: use "thumbsmith {other_names[name]}"'
    if Path(name).is_dir() or "://" in name:
        target = shlex.join(paths[:2] if len(paths) > 1 else [name, "./thumbs"])
        return f'"{name}" is a folder or an address, not a command: use "thumbsmith sync {target}"'
    if Path(name).is_file() or Path(name).suffix:
        return f'"{name}" is not a command: to make thumbnails of files, use "thumbsmith make {shlex.join(arguments)}"'
    hint = suggestion(name, commands) or '; "thumbsmith --help" lists the commands'
    return f'"{name}" is not a command{hint}'


def print_usage_error(error: click.UsageError) -> None:
    """Print the message for arguments that do not fit the command, with its usage."""
    if isinstance(error, NoArgsIsHelpError):
        error.show()
        return
    context = error.ctx
    lines = [f"thumbsmith: {_sentence(error)}"]
    if context and (isinstance(error, click.MissingParameter) or not isinstance(error, click.BadParameter)):
        lines.append(context.get_usage())
        lines.append(f'"{context.command_path} --help" explains the arguments and options.')
    click.echo("\n".join(lines), err=True)


def _sentence(error: click.UsageError) -> str:
    context = error.ctx
    match error:
        case click.MissingParameter(param=click.Parameter() as parameter) if context:
            return f"{_name(parameter, context)} is missing"
        case click.NoSuchOption():
            return f"no option {error.option_name}{_owner(error, context)}"
        case click.BadParameter(param=click.Parameter() as parameter) if context:
            return f"{_name(parameter, context)}: {error.message}"
        case _:
            message = error.format_message()
            return (message[:1].lower() + message[1:]).removesuffix(".")


def _name(parameter: click.Parameter, context: click.Context) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.make_metavar(context)


def _owner(error: click.NoSuchOption, context: click.Context | None) -> str:
    """Return which option of this command, or which command, was probably meant."""
    if context and isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command and any(error.option_name in parameter.opts for parameter in command.params):
                return f' before the command: use "thumbsmith {name} {error.option_name} ..."'
    return f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
