"""The attack table: which attack is refused by what, at which cost, shown by which test."""
