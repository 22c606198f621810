"""Facts about a host: each is asked for once, and only when somebody looks."""

from __future__ import annotations

import pytest

from stager.model.host import HostFacts, HostTool, ToolFact

TOOLS = {name: HostTool(name, "", name) for name in ("php", "composer")}


def test_a_tool_is_asked_for_once_and_only_when_it_is_looked_at():
    asked = []

    def ask(tool):
        asked.append(tool.name)
        return ToolFact(tool.name, f"/usr/bin/{tool.name}")

    facts = HostFacts(TOOLS, ask)
    assert asked == []
    assert facts["php"].path == "/usr/bin/php"
    assert facts["php"] is facts["php"]
    assert asked == ["php"]
    assert list(facts) == ["php", "composer"]
    assert len(facts) == 2
    assert facts.tool("composer") is TOOLS["composer"]


def test_an_undeclared_tool_is_not_there():
    facts = HostFacts(TOOLS, lambda tool: ToolFact(tool.name))
    assert "ruby" not in facts
    with pytest.raises(KeyError):
        facts["ruby"]


def test_known_facts_need_nobody_to_ask():
    facts = HostFacts.of(ToolFact("php", "/x"), ToolFact("composer"))
    assert facts["php"].is_present
    assert not facts["composer"].is_present
