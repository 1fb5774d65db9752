-- What is being put into these tables as a whole (a backup, another installation), while that is not finished: no node may start.
ALTER TABLE luopan_installation ADD COLUMN filling text;
