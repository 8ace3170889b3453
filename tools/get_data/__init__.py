"""What tools/get_data.py is made of.

command      the command line, exit codes, signals
failure      errors for people, and the only way by which text leaves the program
files        what is written: complete or not at all; locks, hashes, space
download     one file over HTTP, resumed, from a server that is not trusted
archive      tar.gz and pickle, from people who are not trusted
png          32x32 pictures of CIFAR's parquet files
cifar        the two CIFAR sets: download, conversion, check
cifar_sets   their hashes, sources and classes
hub          huggingface_hub: token, listing, shards, what its errors mean
imagenet     parquet shards to train/<wnid>/*.JPEG
journal      which shards are done; the index of images, and verification by it
"""
