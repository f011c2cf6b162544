"""The console in a real browser: an investigator's day on the Harbin case, and pages that everybody can use."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from api.access.guarding import PAGES, SESSION
from api.runtime import Runtime
from domain.ledger.sight import EVERYWHERE
from tests.http_service import Client

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
"""Debian's browser: a browser of Playwright's own would have to be downloaded."""

pytest_plugins = ["tests.http_fixtures"]
pytestmark = [
    pytest.mark.storage,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
]
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE_MS = 30_000  # a machine that does other things too is slow
READING = (
    "/console",
    "/console?q=NOTHING",
    "/console/work/blacklist",
    "/console/work/contacts",
    "/console/party/P-HRB",
    "/console/party/P-HRB?around=43",
    "/console/account/A-FTTH",
    "/console/case/C-HRB",
    "/console/dealer/D-17",
    "/console/party/P-HRB/replay?at=2014-12-09&known_at=2014-12-09",
    "/console/account/A-FTTH/replay?at=2014-12-09&known_at=2014-12-09&step=12",
    "/console/party/P-HRB/findings?known_at=2014-12-17",
    "/console/account/A-FTTH/compare?known_at=2014-12-17&lawful=true",
    "/console/party/P-HRB/dossier?known_at=2014-12-17",
    "/console/management/hot-spots",
    "/console/management/accountability",
    "/console/management/actions",
    "/console/management/notices",
    "/console/party/NOBODY",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's chromium."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def living(harbin: Client, runtime: Runtime) -> Iterator[Client]:
    """Return a service on the Harbin case whose read models follow what is written, as they do in service."""
    follower = runtime.follower()
    follower.start()
    try:
        yield harbin
    finally:
        follower.stop()


def at_a_desk(browser: Browser, client: Client, **more) -> BrowserContext:
    """Return a browser at which nobody has signed in yet."""
    given = {"viewport": WIDE, "base_url": client.base_url, "locale": "zh-CN", **more}
    context = browser.new_context(**given)
    context.set_default_timeout(PATIENCE_MS)
    return context


def signed_in(browser: Browser, client: Client, **more) -> BrowserContext:
    """Return a browser in which somebody who may do everything has signed in."""
    context = at_a_desk(browser, client, **more)
    token = client.issuer.signed("staff/S-1", ["investigate:read", "investigate:decide"], [EVERYWHERE])
    context.add_cookies([{"name": SESSION, "value": token, "url": client.base_url + PAGES}])
    return context


def sign_in(page: Page, person: str) -> None:
    """Choose a person on the issuer's page, which the console sent the browser to."""
    page.get_by_role("button", name=person).click()
    page.wait_for_url("**/console**")


def test_an_investigators_day_on_the_harbin_case(browser: Browser, living: Client, tmp_path: Path):
    """Find him, replay the day he asked, see what was wrong, propose, have it accepted, and see nothing owed."""
    page = at_a_desk(browser, living).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/console")
    sign_in(page, "Investigator A")
    finds_him(page)
    replays_the_day_he_asked(page)
    sees_what_was_wrong(page)
    page.get_by_role("button", name="提出").click()
    expect(page.locator(".remedy")).to_contain_text("提出的人不能自己接受")
    expect(page.locator(".remedy").get_by_role("button")).to_have_count(0)

    colleague = at_a_desk(browser, living).new_page()
    colleague.goto(page.url)  # the address that was sent
    sign_in(colleague, "Investigator B")
    accepts_it(colleague)
    takes_the_dossier_away(colleague, tmp_path / "dossier.zip")
    colleague.get_by_role("button", name="退出").click()
    colleague.goto("/console/party/P-HRB")
    expect(colleague.get_by_role("button", name="Investigator B")).to_be_visible()
    assert said == []


def finds_him(page: Page) -> None:
    page.get_by_role("searchbox").fill("P-HRB")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("客户 P-HRB")
    expect(page.locator(".figures").first).to_contain_text("¥835.60")
    expect(page.locator(".figures").first).to_contain_text("在名单上")


def replays_the_day_he_asked(page: Page) -> None:
    """As it was on 9 December 2014, as was known that day; a step back, and on again."""
    page.get_by_role("link", name="逐步回放").click()
    page.get_by_label("当时的情况，截至").fill("2014-12-09")
    page.get_by_label("按当时所知，截至").fill("2014-12-09")
    page.get_by_role("button", name="回放").click()
    expect(page.locator(".stepper .count")).to_have_text("71 / 71")
    expect(page.locator(".state")).to_contain_text("¥835.60")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".stepper .count")).to_have_text("70 / 71")
    expect(page.locator(".step")).to_contain_text("harbin-052")
    expect(page.locator(".step")).to_contain_text("计收滞纳金")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".stepper .count")).to_have_text("71 / 71")


def sees_what_was_wrong(page: Page) -> None:
    """The heaviest finding first, its evidence in the timeline, what is missing, and what should have been owed."""
    page.get_by_role("link", name="认定与依规推算").click()
    page.get_by_label("按当时所知，截至").fill("2014-12-17")
    page.get_by_role("button", name="重新推算").click()
    expect(page.locator(".figures.four")).to_contain_text("依规应有")
    expect(page.locator(".figures.four .good").last).to_contain_text("¥0.00")
    heaviest = page.locator("details.finding").first
    expect(heaviest).to_contain_text("¥700.00")
    heaviest.get_by_role("link", name="出账").first.click()
    expect(page.locator("li.current")).to_contain_text("harbin-012")
    page.go_back()
    page.locator("#f-blacklist-basis summary").click()
    expect(page.locator("#f-blacklist-basis")).to_contain_text("缺少记录：")
    expect(page.locator("#f-blacklist-basis").get_by_text("harbin-028")).to_be_visible()


def accepts_it(page: Page) -> None:
    """The second person puts it right, and the history is right at once."""
    expect(page.locator(".remedy")).to_contain_text("待另一人接受")
    page.get_by_role("button", name="接受并入账").click()
    expect(page.get_by_role("status")).to_contain_text("更正已入账")
    expect(page.locator(".figures").first).to_contain_text("¥0.00")
    expect(page.locator(".figures").first).to_contain_text("不在名单上")
    expect(page.locator(".events").first).to_contain_text("移出黑名单")


def takes_the_dossier_away(page: Page, where: Path) -> None:
    page.get_by_role("link", name="卷宗").click()
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_contain_text("争议卷宗")
    with page.expect_download() as download:
        page.get_by_role("link", name="下载（含证据包）").click()
    download.value.save_as(where)
    assert "bundle/manifest.json" in zipfile.ZipFile(where).namelist()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_no_page_has_a_serious_fault_or_is_wider_than_the_screen(browser: Browser, seen: Client, size: dict):
    """By axe-core, in both languages by turns: nothing serious or critical; and nobody has to scroll sideways."""
    page = signed_in(browser, seen, viewport=size).new_page()
    axe = Axe()
    faults = []
    for number, path in enumerate(READING):
        address = path if number % 2 else path + ("&" if "?" in path else "?") + "lang=en"
        page.goto(address)
        found = axe.run(page, options={"iframes": False}).response["violations"]
        faults += [
            (address, fault["id"], [node["html"][:120] for node in fault["nodes"][:3]])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            faults.append((address, "wider than the screen", []))
    assert faults == []


def test_the_reading_pages_need_no_script(browser: Browser, seen: Client):
    """Given a browser that runs no script, one finds, steps, filters and unfolds all the same."""
    page = signed_in(browser, seen, java_script_enabled=False).new_page()
    page.goto("/console")
    page.get_by_role("searchbox").fill("A-FTTH")
    page.get_by_role("button", name="查找").click()
    page.get_by_role("link", name="逐步回放").click()
    page.get_by_role("link", name="上一步").click()
    page.get_by_role("link", name="下一步").click()
    page.get_by_role("link", name="认定与依规推算").click()
    page.locator("details.finding summary").nth(1).click()
    expect(page.locator("details.finding[open]")).to_have_count(2)
    page.goto("/console/party/P-HRB")
    page.get_by_label("关于").select_option("dealer")
    page.get_by_role("button", name="筛选").click()
    expect(page.locator(".events > li")).to_have_count(2)


def test_one_gets_everywhere_by_keyboard(browser: Browser, seen: Client):
    """The first stop leads past the frame to the content, and what has the focus is seen."""
    page = signed_in(browser, seen).new_page()
    page.goto("/console/party/P-HRB")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="查看认定")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
