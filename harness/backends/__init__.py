"""Who answers: Letta, Claude, mocks; and the checks of them."""
