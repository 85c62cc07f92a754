"""The golden pack: questions with their correctly rounded answers, for implementers in any language."""
