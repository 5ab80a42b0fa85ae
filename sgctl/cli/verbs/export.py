"""`sgctl export`: the policy as manifests."""

from __future__ import annotations

import re
from pathlib import Path

import click

from flows.policy.objects import PolicyObject
from sgctl.cli import kinds
from sgctl.cli.command_session import CommandSession, pass_session
from sgctl.cli.lookup import CLASSES
from sgctl.cli.options import output_option
from sgctl.cli.output.render import print_json, print_names, print_yaml
from sgctl.cli.output.terminal import Failure
from sgctl.service.draft import Draft
from sgctl.service.export import manifest, to_yaml
from sgctl.service.names import reference_to


@click.command()
@click.argument("spellings", metavar="[KIND...]", nargs=-1)
@click.option("--project", metavar="PROJECT", help="Only objects of this project.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file KIND/NAME.yaml for each object below this directory.",
)
@click.option("--without-ids", is_flag=True, help="Leave out ids if names are enough.")
@output_option("yaml", "json", "name")
@pass_session
def export(
    session: CommandSession,
    /,
    spellings: tuple[str, ...],
    project: str | None,
    directory: Path | None,
    without_ids: bool,
    output: str,
) -> None:
    """Print the policy as manifests that apply accepts: everything, or the objects of some kinds.

    Applying them changes nothing here, and creates the same policy in an empty database. Manifests with ids
    can be used to rename objects. Manifests without ids can be applied to another policy that has objects of
    the same names.
    """
    draft = Draft(session.store.objects, session.project if project is None else project)
    found = [
        (kind, obj)
        for kind in _wanted(spellings)
        for obj in _objects(draft, kind)
        if project is None or obj.meta.project_id == project
    ]
    if directory is not None:
        _write(draft, found, directory, with_id=not without_ids)
    elif output == "name":
        print_names(f"{kind.singular}/{_label(draft, obj)}" for kind, obj in found)
    else:
        manifests = [manifest(draft, obj, with_id=not without_ids) for _, obj in found]
        print_json(manifests) if output == "json" else print_yaml(manifests)


def _wanted(spellings: tuple[str, ...]) -> list[kinds.ObjectKind]:
    wanted = [kinds.find(each) for words in spellings for each in words.split(",") if each != "all"]
    for kind in wanted:
        if kind not in kinds.WITH_MANIFEST:
            raise click.UsageError(f"{kind.name} have no manifests of their own")
    return [kind for kind in kinds.WITH_MANIFEST if kind in (wanted or kinds.WITH_MANIFEST)]


def _objects(draft: Draft, kind: kinds.ObjectKind) -> list[PolicyObject]:
    return sorted(draft.all(CLASSES[kind]), key=lambda obj: (obj.name, obj.id))


def _label(draft: Draft, obj: PolicyObject) -> str:
    return reference_to(draft, type(obj), obj.id, draft.project)


def _write(
    draft: Draft, found: list[tuple[kinds.ObjectKind, PolicyObject]], directory: Path, *, with_id: bool
) -> None:
    for kind, obj in found:
        label = _label(draft, obj)
        name = label if re.fullmatch(r"[\w][\w. -]*", label) else obj.id
        path = directory / kind.singular / f"{name}.yaml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(to_yaml([manifest(draft, obj, with_id=with_id)]), encoding="utf-8")
        except OSError as error:
            raise Failure(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"{len(found)} objects written below {directory}")
