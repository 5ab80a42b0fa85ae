"""`sgctl export`: the policy as files."""

# ruff: noqa: PLC0415  # the policy's classes are loaded when a command runs

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgctl.cli import kinds
from sgctl.cli.options import output_option
from sgctl.cli.session import Session, pass_session
from sgctl.cli.terminal import Failure

if TYPE_CHECKING:
    from flows.model import PolicyObject
    from sgctl.service.draft import Draft


@click.command(short_help="Print the policy as manifests that apply takes again.")
@click.argument("spellings", metavar="[KIND...]", nargs=-1)
@click.option("--project", metavar="PROJECT", help="Only objects of this project.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write one file per object, KIND/NAME.yaml, below this directory.",
)
@click.option("--without-ids", is_flag=True, help="Leave out ids where names are enough.")
@output_option("yaml", "json", "name")
@pass_session
def export(
    session: Session,
    /,
    spellings: tuple[str, ...],
    project: str | None,
    directory: Path | None,
    without_ids: bool,
    output: str,
) -> None:
    """Print the policy as manifests that apply takes again: everything, or objects of some kinds.

    Applying them changes nothing here, and makes the same policy in an empty database. By their ids, objects
    that are given other names in the manifests remain the same objects. Without ids, the manifests can be
    applied to another policy that has objects of these names.
    """
    from sgctl.cli import render
    from sgctl.service.draft import Draft
    from sgctl.service.manifests import manifest

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
        render.print_names(f"{kind.singular}/{_label(draft, obj)}" for kind, obj in found)
    else:
        manifests = [manifest(draft, obj, with_id=not without_ids) for _, obj in found]
        render.print_json(manifests) if output == "json" else render.print_yaml(manifests)


def _wanted(spellings: tuple[str, ...]) -> list[kinds.Kind]:
    wanted = [kinds.find(each) for words in spellings for each in words.split(",") if each != "all"]
    for kind in wanted:
        if kind not in kinds.WITH_MANIFEST:
            raise click.UsageError(f"{kind.name} have no manifests of their own")
    return [kind for kind in kinds.WITH_MANIFEST if kind in (wanted or kinds.WITH_MANIFEST)]


def _objects(draft: Draft, kind: kinds.Kind) -> list[PolicyObject]:
    from sgctl.cli.records import CLASSES

    return sorted(draft.all(CLASSES[kind]), key=lambda obj: (obj.name, obj.id))


def _label(draft: Draft, obj: PolicyObject) -> str:
    from sgctl.service.names import reference_to

    return reference_to(draft, type(obj), obj.id, draft.project)


def _write(
    draft: Draft, found: list[tuple[kinds.Kind, PolicyObject]], directory: Path, *, with_id: bool
) -> None:
    from sgctl.service.manifests import manifest, to_yaml

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
