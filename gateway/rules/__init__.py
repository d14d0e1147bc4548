"""The judge: rules that a declaration has to keep, whatever syntax it came in, selected by data files."""

from gateway.rules.book import RuleBook, RuleLine, judge, load

__all__ = ["RuleBook", "RuleLine", "judge", "load"]
