"""The data model: stimuli, pairs, machine distances and human judgements in one DataTree."""
