"""The command `config`."""

from __future__ import annotations

import json

import typer

from unseen.cli.options import Command, ConfigArgument, ConfigOption, JsonOption, chosen

__all__ = ["COMMANDS"]


def print_config(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration."""
    from unseen.config import Config, load_config, to_yaml
    from unseen.sources import check_config

    if config is None and config_option is None:
        typer.echo(json.dumps(Config.model_json_schema(by_alias=True), indent=None if as_json else 2))
        return
    resolved = load_config(chosen(config, config_option))
    check_config(resolved)
    typer.echo(
        json.dumps(resolved.model_dump(mode="json", by_alias=True)) if as_json else to_yaml(resolved), nl=as_json
    )


COMMANDS = {
    "config": Command(
        print_config,
        "Check a configuration and print it with every default written out; without one, print the schema.\n\n"
        "Example: unseen config examples/quickstart.yaml",
    ),
}
