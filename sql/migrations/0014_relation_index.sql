-- Relations of any kind are read kind by kind, so one index does; with two, the planner takes the wrong one for a thread among many reactions.
DROP INDEX event_relation_all;
