-- Reading stored JSON for views. U+0000 is legal in it and would make PostgreSQL refuse the whole query: such a text is NULL.

CREATE OR REPLACE FUNCTION hearth.json_text(doc text, VARIADIC path text[] DEFAULT '{}') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN strpos(doc, '\u0000') = 0 THEN doc::json #>> path END
$$;
