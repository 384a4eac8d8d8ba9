"""What bytes mean: items, columns, node frames, signed envelopes, logs, SenML; SPEC.md says it in words.

Imports nothing here, so that a node loads only the modules it uses (see SPEC.md, "Which module does what").
"""
