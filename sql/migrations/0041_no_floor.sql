-- Nothing ever stood in it: what clean-up jobs remove is missed by no token (core/sync/README.md).
DROP TABLE stream_floor;
