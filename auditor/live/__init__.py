"""The running stack, asked politely: bounded, never off target."""
