"""Other tests of the same question, on the same toys, for comparison."""
