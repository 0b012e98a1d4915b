"""User programs in a small Linux under the sanitizer: `pocwatch user`."""
