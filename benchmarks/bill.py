"""Costs of 1,000 and 1,000,000 images on AWS, and of the same work on hosted services.

    .venv/bin/python -m benchmarks.bill

Calculates from `results/capacity.json` (requests and units), `results/render.json` (milliseconds and bytes) and
`prices.toml` (prices, assumptions, and how each was checked); writes `results/bill.json` and the tables of
docs/aws.md.
"""

import json
import math
import tomllib
from pathlib import Path
from typing import Any

from app.domain.recipe import DEFAULT_RECIPE

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
PAGE = FOLDER.parent / "docs" / "aws.md"
GB = 1e9
MONTH_SECONDS = 30 * 86_400
S3_WRITES = ("PutObject", "ListObjectsV2", "CopyObject")
S3_READS = ("GetObject", "HeadObject")
S3_DELETES = ("DeleteObject", "DeleteObjects")
#: Cases of `capacity` in the table of calls: their names there, and the number of images of each.
CALLS = {
    "upload": ("`POST /upload`", 1),
    "upload, three tags": ("with three tags", 1),
    "upload, with a key": ("with an `Idempotency-Key`", 1),
    "upload, the key again": ("the same request again", 1),
    "upload, a duplicate": ("known bytes", 1),
    "upload, bytes of an image in the trash": ("bytes of an image in the trash", 1),
    "worker: a processed image": ("worker afterwards", 1),
    "a ticket": ("`POST /upload/direct`", 1),
    "a ticket, with the hash": ("with `sha256`", 1),
    "a ticket, the same request again": ("the same request again", 1),
    "look-up of 100 hashes, none known": ("`POST /images/lookup`, unknown bytes", 100),
    "look-up of 100 hashes, 50 known": ("half of them known", 100),
    "list, 50 of 60": ("`GET /images`", 50),
    "list, 50 with two tags": ("with two tags", 50),
    "record": ("`GET /images/{id}`, `…/original`, `…/variants/…`", 1),
    "counts of an owner": ("`GET /stats`", 1),
    "counts of all owners": ("`GET /stats/owners`, two owners", 2),
    "look-alikes, one found": ("`GET …/similar`, one found", 1),
    "edit of a title": ("`PATCH` of a title", 1),
    "edit of a title, with webhooks": ("with webhooks", 1),
    "webhooks: an event to one endpoint": ("webhook function afterwards, one endpoint", 1),
    "edit of two tags": ("`PATCH` of two tags", 1),
    "move of the focal point": ("`PATCH` of the focal point", 1),
    "publish": ("`PATCH` to `public`", 1),
    "publish, reconcile afterwards": ("reconcile afterwards", 1),
    "hide": ("`PATCH` to `private`", 1),
    "hide, reconcile afterwards": ("reconcile afterwards", 1),
    "edit of 50 images: a tag": ("`POST /images/edit`, a tag", 50),
    "reprocess": ("`POST …/reprocess`", 1),
    "worker: a reprocessed image": ("worker afterwards", 1),
    "share": ("`POST …/share`", 1),
    "delete": ("`DELETE`, permanent", 1),
    "to the trash": ("`DELETE`, to the trash", 1),
    "to the trash, a public image": ("of a public image", 1),
    "restore": ("`POST …/restore`", 1),
    "restore, a public image": ("of a public image", 1),
    "the trash, reconcile when its days are over": ("reconcile when the days of an image are over", 1),
    "delete of 50 images": ("`POST /images/delete`, permanent", 50),
    "to the trash, 50 images": ("to the trash", 50),
    "restore of 50 images": ("`POST /images/restore`", 50),
    "delete, 5 images of an owner": ("`DELETE /images?owner=`", 5),
    "key, created": ("`POST /keys`", 1),
    "key, list of 50": ("`GET /keys`", 50),
    "key, changed": ("`PATCH /keys/{key_id}`", 1),
    "key, rotated": ("`POST /keys/{key_id}/rotate`", 1),
    "key, revoked": ("`DELETE /keys/{key_id}`", 1),
    "key, looked up": ("Every call with a key of the store, once in 20 seconds", 1),
    "key, first use on a day": ("the first one on a day", 1),
    "key, unknown": ("a made-up key", 1),
}

Line = dict[str, Any]


def main() -> None:
    """Calculate, save, and update the page."""
    found = bill()
    (RESULTS / "bill.json").write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(with_tables(PAGE.read_text(), found))
    print("\n\n".join(tables(found).values()))


def prices() -> dict[str, Any]:
    """Read `prices.toml`."""
    return tomllib.loads((FOLDER / "prices.toml").read_text())


def dollars_of(name: str) -> float:
    """Return the price of one unit of AWS."""
    return float(prices()["aws"][name]["dollars"])


def bill() -> dict[str, Any]:
    """Calculate the bill. Dollars are per image; idle costs are per stack and month."""
    given = prices()
    suppose = given["assumptions"]
    measured = _measured()
    lines = _lines(measured, suppose)
    kept = suppose["original_bytes"] + measured["variants_bytes"]
    table = suppose["record_bytes"] + suppose["index_bytes"]
    keeping = [
        _line("the original and its variants", [(kept / GB, "s3_gb_month")]),
        _line("the record, point-in-time recovery included", [
            (table / GB, "dynamodb_gb_month"), (table / GB, "dynamodb_pitr_gb_month"),
        ]),
    ]  # fmt: skip
    polls = suppose["pollers"] * MONTH_SECONDS / suppose["poll_seconds"]
    idle = [
        _line("alarms", [(suppose["alarms"], "alarm_month")]),
        _line("the secret", [(1, "secret_month")]),
        _line("polling an empty queue", [(polls, "sqs_request")]),
        _line("the images", [(suppose["images"] * suppose["image_gb"], "ecr_gb_month")]),
    ]
    return {
        "edition": given["aws"]["edition"],
        "region": given["aws"]["region"],
        "measured": measured,
        "assumptions": suppose,
        "making": lines,
        "keeping_a_month": keeping,
        "idle_a_month": idle,
        "sizes": _sizes(suppose),
        "dollars": {
            "making": _sum(lines),
            "keeping_a_month": _sum(keeping),
            "idle_a_month": _sum(idle),
            "delivering_a_gb": dollars_of("transfer_gb"),
        },
        "peers": [_peer(peer, measured, suppose) for peer in given["peers"]],
    }


def _measured() -> dict[str, Any]:
    rows = {row["what"]: row for row in json.loads((RESULTS / "capacity.json").read_text())["rows"]}
    whole, look = rows["one image, from upload to ready"], rows["record"]
    render = json.loads((RESULTS / "render.json").read_text())
    (recipe,) = (row for row in render["rows"] if row["name"] == "default recipe")
    develop = next(engine for engine in recipe["engines"] if engine["engine"] == "darkroom whole")
    calls: dict[str, int] = whole["requests"]
    return {
        "develop_cpu_ms": develop["cpu_ms"],
        "variants_bytes": sum(develop["bytes"]),
        "variants": sum(len(spec.formats) for spec in DEFAULT_RECIPE.variants),
        "write_units": whole["write_units"],
        "read_units": whole["read_units"],
        "look_read_units": look["read_units"],
        "s3_writes": sum(calls.get(f"s3.{name}", 0) for name in S3_WRITES),
        "s3_reads": sum(calls.get(f"s3.{name}", 0) for name in S3_READS),
        "sqs_requests": sum(count for name, count in calls.items() if name.startswith("sqs.")),
    }


def _lines(measured: dict[str, Any], suppose: dict[str, Any]) -> list[Line]:
    looks = suppose["looks"]
    seconds = measured["develop_cpu_ms"] / 1000 + suppose["moving_seconds"]
    metered = math.ceil(suppose["original_bytes"] / suppose["metered_bytes"])
    answering = suppose["api_upload_seconds"] + looks * suppose["api_look_seconds"]
    reads = measured["read_units"] + looks * measured["look_read_units"]
    sqs = measured["sqs_requests"] + suppose["sqs_sends"]
    return [
        _line(f"S3: {measured['s3_writes']} writes, {measured['s3_reads']} read",
              [(measured["s3_writes"], "s3_write"), (measured["s3_reads"], "s3_read")]),
        _line(f"worker: {seconds:.2f} s of 1769 MB, {suppose['moving_seconds']} s of it transfer",
              [(seconds * suppose["worker_gb"], "lambda_gb_second"), (1, "lambda_request")]),
        _line(f"table: {measured['write_units']:.0f} write and {reads:.0f} read units, index included",
              [(measured["write_units"], "dynamodb_write_unit"), (reads, "dynamodb_read_unit")]),
        _line(f"HTTP API: {metered} × 512 KB for the image, {looks} for the record",
              [(metered + looks, "http_api_request")]),
        _line(f"API's function, {answering:.2f} s of 1 GB; {sqs} requests to the queue; "
              f"{suppose['log_bytes'] / 1000:.0f} KB of logs",
              [(answering * suppose["api_gb"], "lambda_gb_second"), (1 + looks, "lambda_request"),
               (sqs, "sqs_request"), (suppose["log_bytes"] / GB, "logs_gb")]),
    ]  # fmt: skip


def _sizes(suppose: dict[str, Any]) -> list[Line]:
    """Return the costs of a size on demand: of the one request that renders it, and of each other one."""
    function = [
        (suppose["size_seconds"] * suppose["worker_gb"], "lambda_gb_second"), (1, "lambda_request"),
        (1, "s3_write"), (4, "s3_read"), (2, "dynamodb_read_unit"),
    ]  # fmt: skip
    delivered = [(1, "cloudfront_request"), (1, "cloudfront_function"), (suppose["size_bytes"] / GB, "cloudfront_gb")]
    api = [(1, "http_api_request"), (suppose["api_look_seconds"] * suppose["api_gb"], "lambda_gb_second")]
    return [
        _line("a miss, with the CDN", [*function, *delivered]),
        _line("a hit in a cache of the CDN", delivered),
        _line("a hit in the bucket, with the CDN", [*delivered, (1, "s3_read")]),
        _line("a hit without the CDN: a request to the API, and one to the bucket",
              [*api, (1, "lambda_request"), (1, "dynamodb_read_unit"), (2, "s3_read"),
               (suppose["size_bytes"] / GB, "transfer_gb")]),
    ]  # fmt: skip


def _line(what: str, parts: list[tuple[float, str]]) -> Line:
    quantities = {name: quantity for quantity, name in parts}
    return {
        "what": what,
        "quantities": quantities,
        "dollars": sum(dollars_of(name) * quantity for name, quantity in quantities.items()),
    }


def _sum(lines: list[Line]) -> float:
    return float(sum(line["dollars"] for line in lines))


def _peer(peer: dict[str, Any], measured: dict[str, Any], suppose: dict[str, Any]) -> Line:
    """Add the totals to a service's prices. It is assumed to make as many variants as we do, of the same weight."""
    sizes = measured["variants"] if peer.get("formats_count", True) else len(DEFAULT_RECIPE.variants)
    weights = {"original": suppose["original_bytes"], "variants": measured["variants_bytes"]}
    kept = sum(weights[part] for part in peer.get("keeps", ()))
    return peer | {
        "making": peer.get("each_upload", 0) + sizes * peer.get("each_variant", 0),
        "keeping_a_month": peer.get("each_kept_image", 0) + kept / GB * peer.get("kept_gb", 0),
    }


def tables(found: dict[str, Any]) -> dict[str, str]:
    """Return the page's tables by the names of their marks."""
    making = ["| for each image | dollars for 1,000 | for 1,000,000 |", "|---|---|---|"]
    making += [_row(line["what"], line["dollars"]) for line in found["making"]]
    making.append(_row("**total**", found["dollars"]["making"]))
    making += [_row(f"a month of storage: {line['what']}", line["dollars"]) for line in found["keeping_a_month"]]
    dollars = found["dollars"]
    ours = [1000 * dollars["making"], 1000 * dollars["keeping_a_month"], dollars["delivering_a_gb"]]
    peers = ["| 1,000 images, in dollars | processed | stored a month | 1 GB delivered | a month at least | price |"]
    peers.append("|---" * 6 + "|")
    peers.append(f"| Darkroom, on AWS | {' | '.join(map(_money, ours))} | – | `prices.toml` |")
    for peer in found["peers"]:
        theirs = [_money(1000 * peer["making"]), _money(1000 * peer["keeping_a_month"])]
        delivered = peer.get("delivered") or _money(peer["delivered_gb"])
        minimum = str(peer.get("monthly_minimum", "–"))
        seen = f"{peer['checked']}, {peer['seen']}"
        peers.append(f"| {' | '.join([peer['name'], *theirs, delivered, minimum, seen])} |")
    sizes = ["| 1,000 sizes on demand | cents |", "|---|---|"]
    sizes += [f"| {line['what']} | {100_000 * line['dollars']:.2f} |" for line in found["sizes"]]
    return {"bill": "\n".join(making), "peers": "\n".join(peers), "calls": _calls(), "sizes": "\n".join(sizes)}


def _calls() -> str:
    """Return the table of calls for existing images, per image."""
    rows = {row["what"]: row for row in json.loads((RESULTS / "capacity.json").read_text())["rows"]}
    table = ["| call, for each image | units of the table | S3 requests | cents for 1,000 |", "|---|---|---|---|"]
    for name, (call, images) in CALLS.items():
        row = rows[name]
        calls = row["requests"]
        writes, reads, deletes = (
            sum(calls.get(f"s3.{operation}", 0) for operation in operations) / images
            for operations in (S3_WRITES, S3_READS, S3_DELETES)
        )
        counts = ((writes, "writes"), (reads, "reads"), (deletes, "deletes"))
        requests = ", ".join(f"{count:g} {what if count != 1 else what[:-1]}" for count, what in counts if count)
        units = f"{row['write_units'] / images:g} write, {row['read_units'] / images:g} read"
        cents = row["dollars_a_million"] / 10 / images
        table.append(f"| {call} | {units} | {requests or '–'} | {cents:.2f} |")
    return "\n".join(table)


def _row(what: str, dollars: float) -> str:
    return f"| {what} | {_money(1000 * dollars)} | {_money(1_000_000 * dollars)} |"


def _money(dollars: float) -> str:
    if not dollars:
        return "0"
    return f"{dollars:,.0f}" if dollars >= 10 else f"{dollars:.2f}" if dollars >= 0.995 else f"{dollars:.3f}"


def with_tables(page: str, found: dict[str, Any]) -> str:
    """Return the page with the tables between their marks."""
    for name, table in tables(found).items():
        start, end = f"<!-- {name}: ", f"\n<!-- end of {name} -->"
        at = page.index("\n", page.index(start)) + 1
        page = page[:at] + table + page[page.index(end) :]
    return page


if __name__ == "__main__":
    main()
