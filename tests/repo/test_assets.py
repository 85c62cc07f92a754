"""The pages' third-party files: as their notice says, and asking nothing of other hosts."""

import hashlib
import re
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "service" / "gradient_service" / "http" / "assets"
NOTICE = (ASSETS / "NOTICE.md").read_text(encoding="utf-8")
PAGES = sorted(ASSETS.glob("*.html"))
MODULES = sorted(ASSETS.glob("explore/*.js"))


@pytest.mark.parametrize(("digest", "name"), re.findall(r"^([0-9a-f]{64})  (\S+)$", NOTICE, re.MULTILINE))
def test_vendored_file_is_the_one_in_the_notice(digest: str, name: str) -> None:
    """A file from elsewhere is byte for byte the one whose origin and changes the notice tells."""
    assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("path", sorted(ASSETS.iterdir()), ids=lambda path: path.name)
def test_notice_names_each_file(path: Path) -> None:
    """No file is here without a word on its origin and licence."""
    assert path.name == "NOTICE.md" or f"`{path.name}`" in NOTICE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_loads_only_assets(page: Path) -> None:
    """Each script, style sheet and icon of a page is a file in this folder."""
    loaded = re.findall(r'<(?:script|link|img)[^>]*?(?:src|href)="([^"]+)"', page.read_text(encoding="utf-8"))
    assert loaded
    assert [name for name in loaded if not (ASSETS.parent / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_no_inline_script_or_style(page: Path) -> None:
    """Pages work under a policy that lets no inline script or style through."""
    text = page.read_text(encoding="utf-8")
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text) is None


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_module_imports_only_its_neighbours(module: Path) -> None:
    """Each import of a module is a file beside it."""
    imported = re.findall(r'(?:from|import) "([^"]+)"', module.read_text(encoding="utf-8"))
    assert [name for name in imported if not (name.startswith("./") and (module.parent / name).is_file())] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_module_reads_no_markup_or_code_out_of_texts(module: Path) -> None:
    """What a reply or an address says becomes text on the page, never elements or code."""
    text = module.read_text(encoding="utf-8")
    assert re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) is None
