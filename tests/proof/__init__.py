"""The proof that nothing is ever bought twice or lost. README, section "Proving it", has the commands."""
