//! Fragmented MP4, whole and cut: the same is found, and nothing of it is larger than what was read.

#![no_main]

oriel_fuzz::container!(mp4);
