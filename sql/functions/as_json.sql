-- Stored canonical JSON for PostgreSQL's operators, which fail on a document that holds U+0000 anywhere, in whichever key or string. It becomes
-- U+FFFD: what is looked for has neither. The four digits cannot be those of an escaped backslash and text: that becomes other text, and stays valid.
CREATE OR REPLACE FUNCTION as_json(doc text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT replace(doc, '\u0000', '\ufffd')::json
$$;
COMMENT ON FUNCTION as_json IS 'A stored JSON text as json, with U+FFFD for U+0000.';
