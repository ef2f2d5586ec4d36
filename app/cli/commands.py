"""Operator commands. The server registers them for the `darkroom` command by an entry point."""

from darkroom.cli.lazy import Command


def _command(name: str, target: str, summary: str) -> Command:
    return Command(name, f"app.cli.{target}", summary, "Server")


COMMANDS = (
    _command("serve", "server:serve", "Run the server until Ctrl-C, as `make run` does."),
    _command("worker", "server:worker", "Run only the worker process, for a server that was started without one."),
    _command(
        "doctor", "doctor:doctor", "Check settings, rights, disk, clock, proxy, limits and stores, and say what to do."
    ),
    _command("redrive", "reconcile:redrive", "Process images again whose events failed in all attempts."),
    _command("reconcile", "reconcile:reconcile", "Repair records after a crash, and report objects without a record."),
    _command("reprocess", "reprocess:reprocess", "Render images again."),
    _command(
        "migrate", "migrate:migrate", "Give images of version 0.1.0 a visibility, and complete the index of all images."
    ),
    _command("owner", "owners:owners", "Owners of images."),
    _command("export", "moving:export", "Export all images into a folder: records, originals and variants."),
    _command("import", "moving:import_", "Import an export, or all images of any folder."),
    _command("backup", "maintenance.backup:backup", "Backups of a self-hosted installation."),
    _command("key", "keys.stored:keys", "API keys."),
    _command("sign", "sign:sign", "Print a signed url of an image in any size."),
)
