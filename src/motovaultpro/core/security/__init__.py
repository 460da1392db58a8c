"""Security primitives: no database, no framework. `features.users` composes them into sign-in."""
