"""The command `models`: what is installed, what can be had, search, download, import, remove, fit, the hub's token."""

import argparse
import getpass
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.catalog import Catalog
from studio.companions import DAMAGED, Companion, companions
from studio.errors import InvalidInput, ModelError, NotFound, StudioError
from studio.families.card_facts import card_facts
from studio.hub.fit import DEVICES, GIB, RESERVED, Fit, fit, fit_listed, fit_of_folder, needs_of_folder
from studio.hub.folder_import import take_in
from studio.hub.installed import freed_by, remove
from studio.hub.listed import Listed, listed, listed_by_repo, origin_of
from studio.hub.scan import Found, Installed, look, typed_path, usual_folders, walk
from studio.hub.single_file import PLACES, plain_path
from studio.settings import Settings, parse_bytes
from studio.studio import Studio
from studio.terminal import adapter_of, clear_progress, finished, print_json, tell_end
from studio.types import Model, Request

NAME = {
    "search": "words",
    "show": "an id of `available` or of the hub, or an installed model",
    "get": "the same",
    "import": "a .safetensors file or a model folder",
    "scan": "a folder of ComfyUI, A1111, InvokeAI ... (default: where these keep models)",
    "remove": "a model, or what works beside one (a LoRA, a ControlNet ...)",
    "fit": "a model (default: all that are offered)",
    "token": "set (read from the keyboard or stdin), forget or show",
    "merge": "the model",
    "export-lora": "the LoRA",
}


def add_models(commands: Any, shared: argparse.ArgumentParser) -> None:
    models = commands.add_parser(
        "models", parents=[shared], help="list, find, download, import, remove models; say what fits"
    )
    models.add_argument("act", nargs="?", choices=tuple(_ACTS), default="list")
    models.add_argument("name", nargs="?", default="", help="; ".join(f"{act}: {text}" for act, text in NAME.items()))
    models.add_argument("--revision", default="", help="get, show: a branch, tag or commit (default: the newest)")
    models.add_argument("--file", default="", help="get: one .safetensors file of the repository, a LoRA or checkpoint")
    models.add_argument("--accept-licence", action="store_true", help="get: you have read the licence and accept it")
    models.add_argument(
        "--take", action="append", default=[], metavar="WHAT", help="scan: take in `all`, a kind (LoRA ...) or a path"
    )
    models.add_argument("--name", dest="as_name", default="", help="get, import: how it is called here")
    models.add_argument("--config", type=Path, help="import: a diffusers folder with the checkpoint's configurations")
    models.add_argument("--memory", help="fit, show: of a device of that size, for example 8G")
    models.add_argument("--kind", choices=tuple(RESERVED), default="cuda", help="fit, show: of such a device")
    models.add_argument("--lora", action="append", default=[], metavar="ID[:WEIGHT]", help="merge: one to work in")
    models.add_argument("--out", default="", help="merge: the new model's name; export-lora: the file to write")
    models.add_argument("--format", default="kohya", choices=("kohya", "diffusers"), help="export-lora: kohya's names")
    models.add_argument("--json", action="store_true")
    models.set_defaults(command="models")


def models(settings: Settings, given: argparse.Namespace) -> int:
    return _ACTS[given.act](settings, given)


def _list(settings: Settings, given: argparse.Namespace) -> int:
    for model in Catalog(settings).models():
        if given.json:
            print_json(
                {
                    "id": model.id,
                    "family": model.family,
                    "source": model.source,
                    "tasks": model.tasks,
                    "size": model.size,
                    "licence": model.licence,
                    "folder": str(model.folder),
                }
            )
        else:
            print(
                f"{model.id:24} {model.family:10} {model.source:8} {model.size / 2**20:8.0f} MB",
                ", ".join(model.tasks),
                sep="  ",
            )
    for one in companions(settings):
        if given.json:
            print_json(one.to_dict())
        else:
            works = f"with {', '.join(one.beside)}" if one.beside else ""
            works = str(one.facts["description"]) if one.kind == DAMAGED else works
            print(f"{one.id:24} {one.kind:10} {one.source:8} {one.size / 2**20:8.0f} MB", works, sep="  ")
    return 0


def _available(settings: Settings, given: argparse.Namespace) -> int:
    installed = {origin_of(model.card) for model in Catalog(settings).models()}
    installed |= {origin_of(one.facts) for one in companions(settings)}
    for entry in listed():
        here = (entry.repo, entry.file) in installed
        if given.json:
            print_json({**entry.to_dict(), "installed": here})
            continue
        marks = ("installed " if here else "") + ("" if entry.runs else "not yet usable ")
        marks += "gated " if entry.gated else ""
        licence = f"{entry.licence or 'licence not known'}{' (limits use)' if entry.limits_use else ''}"
        print(f"{entry.id:28} {entry.medium:7} {entry.size / GIB:6.1f} GB  {licence:44} {marks}{entry.good_for}")
    if not given.json:
        print("What an entry says may not be checked: `models show ID` names the fields, the hub has the last word.")
    return 0


def _search(settings: Settings, given: argparse.Namespace) -> int:
    from studio.hub.repository import Hub  # the hub's client is heavy; most commands need it not

    for found in Hub(settings).search(_needed(given, "What is searched for?", "models search WORDS")):
        if given.json:
            plain = {"id": found.id, "kind": found.kind, "licence": found.licence, "gated": found.gated}
            print_json({**plain, "downloads": found.downloads})
        else:
            gate = "  gated" if found.gated else ""
            print(f"{found.id:60} {found.kind:18} {found.licence:24} {found.downloads:>10}{gate}")
    return 0


def _show(settings: Settings, given: argparse.Namespace) -> int:
    name = _needed(given, "Which model?", "models show ID")
    installed = {model.id: model for model in Catalog(settings).models()}
    entry = listed_by_repo(name)
    memory = _memory(settings, given)
    if name in installed:
        return _show_installed(installed[name], given, memory)
    if beside := next((one for one in companions(settings) if one.id == name), None):
        return _show_companion(beside, given)
    plain: dict[str, Any] = entry.to_dict() if entry else {"repo": name}
    lines = _entry_lines(entry) if entry else []
    if entry and not entry.kind:
        found = fit_listed(entry, memory, listed(), given.kind)
        plain["fit"] = found.to_dict()
        lines.append(found.sentence)
    from studio.hub.plan import fit_of, make_plan
    from studio.hub.repository import Hub

    try:
        plan = make_plan(settings, Hub(settings), name, given.revision, file=given.file)
    except StudioError as error:  # what is listed can be read without the hub
        if entry is None:
            raise
        plain["problem"] = error.message
        lines.append(error.message)
    else:
        plain["plan"] = plan.to_dict()
        lines += [f"Download: {plan.size / GIB:.2f} GB in {len(plan.files)} files at {plan.revision[:12]}."]
        lines += [plan.licence.sentence] + ([plan.problem] if plan.problem else [])
        if entry is None and (found := fit_of(plan, memory, given.kind)):
            plain["fit"] = found.to_dict()
            lines.append(found.sentence)
    print_json(plain) if given.json else print("\n".join(lines))
    return 0


def _show_installed(model: Model, given: argparse.Namespace, memory: int) -> int:
    found = fit_of_folder(model, memory, given.kind)
    origin = model.card.get("hub", {})
    plain = {
        "id": model.id,
        "name": model.name,
        "family": model.family,
        "source": model.source,
        "tasks": list(model.tasks),
        "licence": model.licence,
        "size": model.size,
        "freed_by_removing": freed_by(model.folder),
        "folder": str(model.folder),
        "file": str(model.card.get("file", "")),
        "hub": dict(origin) if isinstance(origin, dict) else {},
        "limits": str(model.card.get("limits", "")),
        "figures": model.card.get("figures", {}),
        "fit": found,
    }
    if given.json:
        print_json(plain)
    else:
        for key in ("id", "name", "family", "source", "licence", "folder", "file"):
            if plain[key]:
                print(f"{key:10} {plain[key]}")
        print(f"{'tasks':10} {', '.join(model.tasks)}")
        freed = plain["freed_by_removing"]
        told = f", {freed / GIB:.2f} GB freed by removing it" if model.source != "starter" else ""
        print(f"{'size':10} {model.size / GIB:.2f} GB{told}")
        print(found["sentence"])
        print("\n".join(_card_lines(model.card)))
    return 0


def _card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """Limits and figures as a card tells them; nothing where it tells none."""
    facts = card_facts(card)
    if facts["limits"]:
        yield f"\nLimits: {facts['limits']}"
    if not (facts["figures"] or facts["tables"]):
        return
    yield f"\nMeasured {facts['measured']}".rstrip()
    for name, value in facts["figures"]:
        yield f"  {name:62} {value}"
    for table in facts["tables"]:
        rows = [["", *table["columns"]], *table["rows"]]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        yield f"\n  {table['title']}"
        yield from ("    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows if any(row))
    yield from (f"  {facts[told]}" for told in ("means", "command") if facts[told])


def _show_companion(one: Companion, given: argparse.Namespace) -> int:
    told = {"limits": str(one.facts.get("limits", "")), "figures": one.facts.get("figures", {})}
    plain = {**one.to_dict(), **told, "freed_by_removing": freed_by(one.path) if one.source != "starter" else 0}
    if given.json:
        print_json(plain)
        return 0
    for key in ("id", "kind", "name", "source", "licence", "repo", "trigger", "path"):
        if plain[key]:
            print(f"{key:10} {plain[key]}")
    print(f"{'works with':10} {', '.join(one.beside) or 'no installed model that is known'}")
    freed = f", {plain['freed_by_removing'] / 2**20:.0f} MB freed by removing it" if one.source != "starter" else ""
    print(f"{'size':10} {one.size / 2**20:.0f} MB{freed}")
    print("\n".join(_card_lines(one.facts)))
    return 0


def _entry_lines(entry: Listed) -> list[str]:
    lines = [f"{entry.name} ({entry.repo})", entry.good_for]
    does = ", ".join(entry.tasks).replace("_", " ") or ("" if entry.runs else "nothing here uses it yet")
    lines += [f"{entry.kind or entry.pipeline}{': ' if does else ''}{does}"]
    lines += [f"Licence: {entry.licence or 'not known'}." + (f" Forbids: {entry.forbids}" if entry.forbids else "")]
    lines += [f"About {entry.size / GIB:.1f} GB to download."] if entry.size else []
    lines += [entry.note] if entry.note else []
    lines += [f"Not checked: {', '.join(entry.unchecked)}."] if entry.unchecked else []
    return lines


def _get(settings: Settings, given: argparse.Namespace) -> int:
    from studio.hub import licences
    from studio.hub.downloads import Downloads, Progress
    from studio.hub.plan import fit_of, is_here, make_plan
    from studio.hub.repository import Hub

    name = _needed(given, "Which model?", "models get ID")
    hub = Hub(settings)
    plan = make_plan(settings, hub, name, given.revision, given.as_name, given.file)
    if given.accept_licence and plan.licence.limits_use and not plan.accepted:
        licences.accept(settings.home, plan.repo, plan.licence)
        plan = make_plan(settings, hub, name, given.revision, given.as_name, given.file)
    if is_here(settings, plan):
        print(f"{plan.repo} is here already, as {plan.id!r}.", file=sys.stderr)
        print_json({"model": plan.id, "folder": str(settings.models / plan.id), "size": plan.size, "repo": plan.repo})
        return 0
    print(f"{plan.repo}: {plan.size / GIB:.2f} GB, {plan.free / GIB:.1f} GB free. {plan.licence.sentence}",
          file=sys.stderr)  # fmt: skip
    if plan.kind not in PLACES and (fits := fit_of(plan, _memory(settings, given), given.kind)):
        print(fits.sentence, file=sys.stderr)
    entry = listed_by_repo(name)
    if entry and not entry.runs:
        print(f"{entry.name} can be kept, but nothing in this version uses it yet.", file=sys.stderr)

    def tell(now: Progress) -> None:
        if given.json:
            print_json(now.to_dict())
        elif sys.stderr.isatty():
            left = f", {now.seconds_left:.0f} s left" if now.seconds_left is not None else ""
            share = 100 * now.done / max(1, now.total)
            line = f"\r{share:5.1f} %  {now.speed / 2**20:6.1f} MB/s{left}  {now.state} {now.file[-40:]}"
            print(f"{line:100}", end="", file=sys.stderr, flush=True)

    with Downloads(settings, hub.token) as downloads:
        try:
            downloads.start(plan)
            done = downloads.wait(plan.id, each=tell)
        except KeyboardInterrupt:
            downloads.pause(plan.id)
            print("\nPaused. The same command goes on from there.", file=sys.stderr)
            return 130
        finally:
            clear_progress()
    if done.state != "done":
        print(f"{done.message or done.state}\n{done.hint}".strip(), file=sys.stderr)
        return 1
    kind = plan.kind if plan.kind in PLACES else "model"
    print_json({kind: plan.id, "folder": str(settings.models / plan.id), "size": plan.size, "repo": plan.repo})
    return 0


def _import(settings: Settings, given: argparse.Namespace) -> int:
    path = typed_path(_needed(given, "Which file?", "models import FILE.safetensors"))
    taken = take_in(settings, path, name=given.as_name, config=given.config)
    if given.json:
        print_json({"id": taken.id, "kind": taken.kind, "name": taken.name, "how": taken.how, "size": taken.size})
    else:
        print(f"{taken.name} is the {taken.kind} {taken.id!r} now ({taken.how}).")
    return 0


def _scan(settings: Settings, given: argparse.Namespace) -> int:
    """Lists what a folder of another program holds, then takes in what is wished of it."""
    if not given.name and len(usual := usual_folders()) != 1:
        known = ", ".join(map(str, usual))
        raise InvalidInput("Which folder?", f"models scan FOLDER{f'; there are {known}' if known else ''}")
    walked = walk(settings, typed_path(given.name) if given.name else usual_folders()[0])
    wanted, met, failed = {word.strip().lower() for word in given.take}, {"all"}, 0
    for found in look(settings, walked.paths, Installed.of(settings)):
        plain = found.to_dict(walked.folder)
        meant = wanted & {"all", found.told.kind.lower(), plain["path"].lower()}
        met |= meant
        line = _found_line(found, plain)
        if meant and not found.told.problem and not found.here:
            try:
                taken = take_in(settings, found.path)
                plain |= {"here": taken.id, "how": taken.how}
                line = f"{line}: taken in as {taken.id!r} ({taken.how})"
            except StudioError as error:
                failed += 1
                print(f"{plain['path']}: {error}", file=sys.stderr)
        print_json(plain) if given.json else print(line)
    for path in walked.pickles:
        said = "a pickle: opening it can run programs, so it is not opened"
        plain = {"path": plain_path(path.relative_to(walked.folder)), "kind": "pickle", "problem": said}
        print_json(plain) if given.json else print(f"{plain['path']}  {said}")
    for path, reason in walked.unread:
        print(f"{plain_path(path)} was passed over: {reason}.", file=sys.stderr)
    if walked.more:
        print(f"There is more: only {len(walked.paths)} were looked at. Give a folder further down.", file=sys.stderr)
    if not walked.paths and not walked.pickles:
        print(f"{walked.folder} holds no models.", file=sys.stderr)
    if wanted - met:
        print(f"Nothing there is {', '.join(sorted(wanted - met))}.", file=sys.stderr)
    return 1 if failed or wanted - met else 0


def _found_line(found: Found, plain: Mapping[str, Any]) -> str:
    kind = f"{found.told.kind}{f' ({found.told.base})' if found.told.base else ''}"
    said = f"here as {found.here!r}" if found.here else found.told.problem or "can be used"
    return f"{plain['path']}  {kind}  {found.size / 2**20:.0f} MB  {said}"


def _remove(settings: Settings, given: argparse.Namespace) -> int:
    gone = remove(settings, _needed(given, "Which model?", "models remove ID"))
    if given.json:
        print_json({"id": gone.id, "kind": gone.kind, "freed": gone.freed, "kept": gone.kept})
    else:
        stays = f" The file {gone.kept} stays where it is." if gone.kept else ""
        print(f"{gone.id} is removed; {gone.freed / 2**20:.0f} MB are free again.{stays}")
    return 0


def _fit(settings: Settings, given: argparse.Namespace) -> int:
    sizes = [_memory(settings, given)] if given.memory or settings.memory_limit else [g * GIB for g in DEVICES]
    rows: list[tuple[str, str, list[Fit]]] = []
    for model in Catalog(settings).models():
        if given.name in ("", model.id):
            try:
                needs = needs_of_folder(model)
            except ModelError as error:
                print(f"{model.id} is damaged: {error}", file=sys.stderr)
                continue
            rows.append((model.id, "installed", [fit(needs, size, given.kind) for size in sizes]))
    entries = listed()
    for entry in (one for one in entries if not one.kind):
        if given.name.lower() in ("", entry.id.lower(), entry.repo.lower()):
            rows.append((entry.id, entry.medium, [fit_listed(entry, size, entries, given.kind) for size in sizes]))
    if not rows:
        raise NotFound(f"There is no model {given.name[:80]!r}.", "See `models list` and `models available`.")
    if given.json:
        for id, medium, found in rows:
            print_json({"id": id, "medium": medium, "kind": given.kind, "fit": [each.to_dict() for each in found]})
        return 0
    print(f"{'':28} {'':9} " + " ".join(f"{size / GIB:>11.0f} GB" for size in sizes))
    for id, medium, found in rows:
        print(f"{id:28} {medium:9} " + " ".join(f"{each.short:>14}" for each in found))
    print("GB at the worst moment x takes at once; t: decoded in tiles, o: parts wait in main memory. Estimates.")
    for id, _, found in rows:
        if len(found) == 1 and not found[0].fits and found[0].smaller:
            print(f"{id}: {', '.join(found[0].smaller)} would fit.")
    return 0


def _token(settings: Settings, given: argparse.Namespace) -> int:
    from studio.hub.access_token import find_token, forget_token, keep_token

    if given.name == "set":
        asked = getpass.getpass("Access token of the hub: ") if sys.stdin.isatty() else sys.stdin.readline()
        keep_token(settings.home, asked)
    elif given.name == "forget":
        forget_token(settings.home)
    elif given.name not in ("", "show"):
        raise InvalidInput("A token is never given as an argument, where others can read it.", "models token set")
    source = find_token(settings.home).source
    told = {"home": "kept in this home", "": "none"}.get(source, f"from {source}")
    print_json({"token": bool(source), "source": source}) if given.json else print(f"Access token: {told}.")
    return 0


def merge(settings: Settings, given: argparse.Namespace) -> int:
    """A model with LoRAs worked into it becomes a model of its own, by a job like any other."""
    if not (given.name and given.lora and given.out):
        raise InvalidInput("A merge needs a model, a LoRA and a name.", "models merge MODEL --lora ID:0.8 --out NAME")
    with Studio(settings) as studio:
        adapters = tuple(adapter_of(text) for text in given.lora)
        request = Request(task="merge_lora", model=given.name, prompt=given.out, adapters=adapters)
        job = studio.submit(request, panel="models")
        done = finished(studio, job.id)
        if code := tell_end(done):
            return code
        made = studio.catalog.model(studio.catalog.model_of_job(job.id))
        print_json({"model": made.id, "folder": str(made.folder), "size": made.size, "job": job.id})
    return 0


def export_lora(settings: Settings, given: argparse.Namespace) -> int:
    """Writes a LoRA for other programs, in this very process."""
    if not (given.name and given.out):
        raise InvalidInput("An export needs a LoRA and a file.", "models export-lora ID --out FILE.safetensors")
    catalog = Catalog(settings)
    adapter = catalog.adapter(given.name)
    base = str(catalog.adapter_facts(given.name).get("base", ""))
    if not base and given.format != "diffusers":
        raise InvalidInput(f"{given.name!r} was not taught here, so its model is not known.", "Use it as it is.")
    folder = catalog.model(base).folder if base else Path()
    target = Path(given.out)
    module = importlib.import_module("studio.families.diffusion.export_lora")
    layers = module.export(adapter, folder, target, given.format, given.name)
    print_json({"path": str(target), "format": given.format, "layers": layers, "size": target.stat().st_size})
    return 0


def _memory(settings: Settings, given: argparse.Namespace) -> int:
    """Bytes of the device that is meant: the one that is asked for, a simulated one, or this machine's."""
    if given.memory:
        return parse_bytes(given.memory)
    if settings.memory_limit:
        return settings.memory_limit
    from studio.engine.probe import probe_torch

    answer = probe_torch()
    if answer.get("memory"):
        given.kind = str(answer["device"])
        return int(answer["memory"])
    import psutil

    given.kind = "cpu"
    return psutil.virtual_memory().total


def _needed(given: argparse.Namespace, question: str, example: str) -> str:
    if not given.name.strip():
        raise InvalidInput(question, example)
    return given.name.strip()


_ACTS: dict[str, Callable[[Settings, argparse.Namespace], int]] = {
    "list": _list,
    "available": _available,
    "search": _search,
    "show": _show,
    "get": _get,
    "import": _import,
    "scan": _scan,
    "remove": _remove,
    "fit": _fit,
    "token": _token,
    "merge": merge,
    "export-lora": export_lora,
}
