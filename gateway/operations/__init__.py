"""Operations: settings, wiring, the command line and the demonstration."""
