# Lists the recipes.
default:
    @just --list
