"""Operations on pixels: color conversion, resizing, tone mapping."""
