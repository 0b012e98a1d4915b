"""Each piece of maintenance of a recording taken away alone: `pocwatch mutate`."""
