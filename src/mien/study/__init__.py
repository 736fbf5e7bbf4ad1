"""What a study is; `definition` has it."""
