"""EDIFACT's own security (ISO 9735-5 and -6): integrated signatures and AUTACK, proven and made.

What stands in an interchange and which octets it covers is given as values of ``gateway.model.secured``; nothing
here reads or writes EDIFACT.
"""
