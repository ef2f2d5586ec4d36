"""Files that `darkroom upload` finds: folders, patterns, lists, links, and what it leaves out."""

import io
import os
from pathlib import Path

import pytest

from darkroom.cli.found_files import FoundFile, Rules, find_files, folder_tags, hide_secrets, read_names


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def found(*given: Path | str, ignore: tuple[str, ...] = ()) -> list[FoundFile]:
    return list(find_files(map(str, given), Rules.build(ignore)))


def names(folder: Path, *ignore: str) -> list[str]:
    return [each.path.relative_to(folder).as_posix() for each in found(folder, ignore=ignore)]


def test_junk_of_other_programs_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    junk = (
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "@__thumb/a.jpg",
        "#recycle/a.jpg",
        "__MACOSX/a.jpg",
        "x/@eaDir/a.jpg",
    )
    make(tmp_path, "a.jpg", "x/b.jpg", "Thumbs.db", ".DS_Store", "._a.jpg", ".hidden/c.jpg", "desktop.ini", *junk)
    assert names(tmp_path) == ["a.jpg", "x/b.jpg"]


def test_junk_is_left_out_of_what_the_shell_expands_too(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "Thumbs.db", "@eaDir/b.jpg")
    assert [each.path.name for each in found(*sorted(tmp_path.iterdir()))] == ["a.jpg"]


def test_patterns_have_the_syntax_of_gitignore(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a.png", "raw/b.jpg", "raw/keep.png", "x/raw/c.jpg", "x/d.jpg")
    assert names(tmp_path, "*.png", "!keep.png", "/x/raw/") == ["a.jpg", "raw/b.jpg", "raw/keep.png", "x/d.jpg"]
    assert names(tmp_path, "!@eaDir/", "# comment", "", "x/**") == ["a.jpg", "a.png", "raw/b.jpg", "raw/keep.png"]


def test_ignore_files_count_for_their_folder_and_the_command_line_overrules_them(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "x/a.jpg", "x/b.jpg", "x/y/a.jpg")
    (tmp_path / "x/.darkroomignore").write_text("a.jpg\n!/y/a.jpg\n")
    assert names(tmp_path) == ["a.jpg", "x/b.jpg", "x/y/a.jpg"]
    assert names(tmp_path, "y/") == ["a.jpg", "x/b.jpg"]
    assert names(tmp_path, "!a.jpg") == ["a.jpg", "x/a.jpg", "x/b.jpg", "x/y/a.jpg"]


def test_an_ignore_file_with_an_invalid_pattern_is_reported(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "x/b.jpg")
    (tmp_path / "x/.darkroomignore").write_text("!\n")
    first, second = found(tmp_path)
    assert (first.path.name, second.path.name) == ("a.jpg", ".darkroomignore")
    assert second.error.startswith("Invalid pattern: ")


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "top/a.jpg", "top/below/b.jpg", "other/c.jpg")
    (tmp_path / "top/below/up").symlink_to("..")
    (tmp_path / "top/self").symlink_to("self")
    (tmp_path / "top/other").symlink_to("../other")
    (tmp_path / "top/twice").symlink_to("../other")
    assert names(tmp_path / "top") == ["a.jpg", "self", "below/b.jpg", "other/c.jpg"]


def test_folders_that_cannot_be_read_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jpg", "locked/b.jpg")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(tmp_path) == ["a.jpg", "locked"]


def test_patterns_that_the_shell_has_not_expanded_are_expanded(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a.jpg", "c.png", "x/d.jpg", "odd[1].jpg")
    assert [each.path.name for each in found(tmp_path / "*.jpg")] == ["a.jpg", "b.jpg", "odd[1].jpg"]
    assert [each.path.name for each in found(tmp_path / "**/d.*")] == ["d.jpg"]
    assert [each.path.name for each in found(tmp_path / "odd[1].jpg")] == ["odd[1].jpg"]  # a file of this name
    (none,) = found(tmp_path / "*.gif")
    assert (none.is_given, none.error) == (True, "No file matches this pattern.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.jpg\n b c.jpg\r\n\n", [Path("a.jpg"), Path(" b c.jpg")]),
        (b"new\nline.jpg\0b.jpg\0", [Path("new\nline.jpg"), Path("b.jpg")]),
        (b"\xff.jpg\n-", [Path("\udcff.jpg"), Path("-")]),
        (
            b"https://img.example/a.jpg?s=1 \nHTTP://img.example/b\n./https://c",
            [
                "https://img.example/a.jpg?s=1",
                "HTTP://img.example/b",
                Path("https://c"),
            ],
        ),
        (b"", []),
    ],
)
def test_lists_have_a_name_in_each_line_or_null_bytes_between_them(content: bytes, expected: list[str | Path]) -> None:
    assert read_names(io.BytesIO(content)) == expected


def test_urls_are_told_from_files_and_shown_without_secrets(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    given = [
        str(tmp_path / "a.jpg"),
        "https://ann:secret@img.example/sea%20view.jpg?sig=secret#x",
        "https://[::1/a?secret",
    ]
    file, url, broken = find_files(given, Rules())
    assert (file.url, file.source, url.source) == ("", tmp_path / "a.jpg", given[1])
    assert hide_secrets(url.url) == "https://img.example/sea%20view.jpg"
    assert hide_secrets(broken.url) == "https://[::1/a"


def test_tags_are_the_folders_from_the_given_one(tmp_path: Path) -> None:
    make(tmp_path, "Holiday/2026/Sea\u202e/a.jpg", f"Holiday/{'x' * 70}/b.jpg")
    first, second = found(tmp_path / "Holiday")
    assert folder_tags(first, ["own", "2026"]) == ["own", "2026", "Holiday", "Sea"]
    assert folder_tags(second, []) == ["Holiday", "x" * 64]
    (given,) = found(tmp_path / "Holiday/2026/Sea\u202e/a.jpg")
    assert folder_tags(given, ["own"]) == ["own"]
    assert len(folder_tags(FoundFile(Path("a"), is_given=False, folders=tuple(map(str, range(30)))), [])) == 20
