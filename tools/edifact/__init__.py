"""Makes and judges the EDIFACT directory tables of ``xsd/edifact``."""
