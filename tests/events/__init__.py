"""Events: decoding, refusing, deriving, describing."""
