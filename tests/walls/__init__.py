"""What the walls between sellers, roles and strangers are tested with."""
