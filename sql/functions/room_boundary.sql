-- Where in a room's order the news for a position (core/sync/token.h) begin: all up to the result was seen, what is
-- behind it is new. xmax_ and xip are the position's two parameters, top the room's last_room_pos. What is new is a suffix
-- of the order, so this searches: first in steps that double, from the newest backwards, because most tokens are
-- young, then by halves. The order has gaps (over holes): a number x stands for the last event at or before it.
CREATE OR REPLACE FUNCTION room_boundary(room_ bigint, top bigint, xmax_ bigint, xip bigint[]) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	lo bigint;			-- seen
	hi bigint := top + 1;		-- new, or behind the last
	step bigint := 1;
	x bigint := top;
	at bigint;
	p bigint;
BEGIN
	WHILE lo IS NULL OR hi - lo > 1 LOOP
		SELECT room_pos, pos INTO at, p FROM event
			WHERE room = room_ AND room_pos <= x ORDER BY room_pos DESC LIMIT 1;
		IF NOT FOUND OR (p < xmax_ AND NOT p = ANY (xip)) THEN
			lo := x;
		ELSE
			hi := at;
		END IF;
		IF lo IS NULL THEN
			step := step * 2;
			x := hi - step;
		ELSE
			x := lo + (hi - lo) / 2;
		END IF;
	END LOOP;
	RETURN lo;
END $$;
COMMENT ON FUNCTION room_boundary IS 'The last room_pos of a room that a sync token had seen.';
