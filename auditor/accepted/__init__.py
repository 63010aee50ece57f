"""Living with findings: waivers in the policy and in comments, a baseline file, and what was already there at a commit."""
