-- Mentions of users who are no longer in the room: nobody asks for them. Whoever leaves takes his along from now on.
DELETE FROM mention m WHERE NOT EXISTS (SELECT FROM local_member l WHERE l.usr = m.usr AND l.room = m.room AND l.membership = 2);
